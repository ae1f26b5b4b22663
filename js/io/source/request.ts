/** Requests a range of a URL: redirects, time limits and retries. */

import { shown } from '../url.js';
import { QuantpressError } from '../../engine/error.js';
import { builtin } from '../../engine/platform.js';
import { networkReason } from './request-errors.js';
import { limitsOf, LONGEST_TIMER, type Limits, type UrlOptions } from './url-options.js';

/** A request. */
export interface Question {
  url: string;
  /** The caller's headers, for the origin of the URL only. */
  headers: Record<string, string>;
  /** Our own headers, which any server may see. */
  own: Record<string, string>;
  options: Pick<UrlOptions, 'fetch'> & { [K in keyof Limits]?: Limits[K] | undefined };
  signal?: AbortSignal | undefined;
}

/** A response whose headers have arrived. */
export interface Answer {
  response: Response;
  /** Reads exactly `length` bytes of its body, however much the server sends. */
  bytes(length: number): Promise<Uint8Array<ArrayBuffer>>;
}

/** A failure for which a retry may help. */
export class Again extends Error {
  constructor(
    readonly reason: QuantpressError,
    /** The milliseconds that the server asks to wait. */
    readonly wait?: number,
  ) {
    super(reason.message);
  }
}

/** Sends a request and returns the result of `use` for the response; both are retried while that may help. */
export async function ask<T>(question: Question, use: (answer: Answer) => Promise<T>): Promise<T> {
  const { options, signal } = question;
  const limits = limitsOf(options);
  for (let tried = 1; ; tried++) {
    try {
      return await once(question, limits, use);
    } catch (error) {
      if (!(error instanceof Again)) throw error;
      if (tried >= limits.attempts) throw error.reason;
      const wait = error.wait ?? limits.patience * 2 ** (tried - 1);
      await sleep(Math.min(wait, limits.maxWait, LONGEST_TIMER), signal);
    }
  }
}

async function once<T>(question: Question, limits: Limits, use: (answer: Answer) => Promise<T>): Promise<T> {
  const { url, signal } = question;
  signal?.throwIfAborted();
  const watch = new Watch(limits.idleTimeout, shown(url), signal);
  try {
    const response = await follow(question, watch);
    return await use({ response, bytes: (length) => readBody(response, length, watch) });
  } catch (error) {
    throw watch.signal.aborted ? watch.signal.reason : disconnected(url, error);
  } finally {
    watch.end();
  }
}

/** Aborts a request that receives nothing for too long, or that the caller aborts. */
class Watch {
  readonly #stop = new AbortController();
  readonly #limit: number;
  readonly #name: string;
  readonly #forget: () => void;
  readonly #over: Promise<never>;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #begun = false;
  #complete = false;
  #bytes = 0;

  constructor(limit: number, name: string, callers: AbortSignal | undefined) {
    this.#limit = limit;
    this.#name = name;
    this.#over = new Promise((_, reject) => {
      this.signal.addEventListener('abort', () => reject(this.signal.reason), { once: true });
    });
    this.#over.catch(() => {});
    this.#start();
    this.#forget = onAbort(callers, () => this.#stop.abort(callers?.reason));
  }

  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** Resolves like `promise`, unless the time limit passes first: the caller's `fetch` may ignore the signal. */
  race<T>(promise: Promise<T>): Promise<T> {
    return Promise.race([promise, this.#over]);
  }

  /** The response has begun. */
  begin(): void {
    this.#begun = true;
    this.#start();
  }

  /** Bytes have arrived. A few do not count as activity: a server could send one each second, for years. */
  progress(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes >= PROGRESS) this.#start();
  }

  /** The response was read to its end. */
  complete(): void {
    this.#complete = true;
  }

  /**
   * Stops the clock, and discards the rest of the response. A complete one is not aborted: a browser that has not yet
   * noted its end would report a failed request.
   */
  end(): void {
    clearTimeout(this.#timer);
    this.#forget();
    if (!this.#complete) this.#stop.abort();
  }

  #start(): void {
    this.#bytes = 0;
    clearTimeout(this.#timer);
    if (this.#limit > LONGEST_TIMER) return;
    this.#timer = setTimeout(() => {
      const what = this.#begun ? 'stopped sending' : 'did not answer';
      const message = `'${this.#name}' ${what} for ${this.#limit / 1000} seconds (idleTimeout)`;
      const details = { url: this.#name, idleTimeout: this.#limit };
      this.#stop.abort(new Again(new QuantpressError('IO', message, details)));
    }, this.#limit);
  }
}

/** The number of bytes that count as activity. */
const PROGRESS = 1 << 14;

const REDIRECTS = new Set([301, 302, 303, 307, 308]);

/** The limit of redirects; browsers allow twenty. */
const MOST_REDIRECTS = 10;

/** Headers that browsers themselves do not send to other origins, or that are not secret. */
const HARMLESS = new Set(['authorization', 'accept', 'accept-language', 'content-language']);

/**
 * Sends a request, and follows its redirects one by one, so that the caller's headers are sent only to their own
 * origin: `fetch` itself would drop only `Authorization`.
 */
async function follow({ url, headers, own, options }: Question, watch: Watch): Promise<Response> {
  // Browsers either follow redirects themselves or hide them.
  const byHand =
    builtin('node:http') !== undefined || Object.keys(headers).some((name) => !HARMLESS.has(name.toLowerCase()));
  let secrets = headers;
  for (let at = url, hops = 0; ; hops++) {
    const sent = new Headers(secrets);
    for (const [name, value] of Object.entries(own)) sent.set(name, value);
    const redirect = byHand ? 'manual' : 'follow';
    const request = { headers: sent, cache: 'no-store', redirect, signal: watch.signal } as const;
    const response = await watch.race((options.fetch ?? fetch)(at, request)).catch((error: unknown) => {
      throw watch.signal.aborted ? watch.signal.reason : disconnected(url, error, at);
    });
    watch.begin();
    if (response.type === 'opaqueredirect') throw hiddenRedirect(url);
    const location = REDIRECTS.has(response.status) ? response.headers.get('location') : null;
    if (location === null) return response;
    drop(response);
    if (hops === MOST_REDIRECTS) throw failed(url, `it redirects more than ${MOST_REDIRECTS} times`);
    const next = targetOf(url, location, at);
    // Headers that were dropped are not sent again, not even to the first origin: another server chose the URL.
    if (next.origin !== new URL(at).origin) secrets = {};
    at = next.href;
  }
}

function targetOf(url: string, location: string, base: string): URL {
  let target: URL | undefined;
  try {
    target = new URL(location, base);
  } catch {
    // Reported below.
  }
  const web = target?.protocol === 'http:' || target?.protocol === 'https:';
  if (target && web && target.username === '' && target.password === '') return target;
  throw failed(url, 'it redirects to something other than an http(s) URL, or to a URL with a password');
}

function hiddenRedirect(url: string): QuantpressError {
  const why =
    'it redirects, and browsers do not reveal the target: the headers of this request could reach another origin';
  return failed(url, `${why}. Open the URL it redirects to`, 'DENIED');
}

function failed(url: string, reason: string, code: 'IO' | 'DENIED' = 'IO'): QuantpressError {
  const name = shown(url);
  return new QuantpressError(code, `'${name}' cannot be read: ${reason}`, { url: name });
}

/** The error for a failed connection, to the URL itself or to the one that it redirects to. */
function disconnected(url: string, thrown: unknown, at = url): unknown {
  if (thrown instanceof QuantpressError || thrown instanceof Again) return thrown;
  const { reason, system, final } = networkReason(thrown);
  const name = shown(url);
  const where = at === url ? '' : ` after a redirect to '${shown(at)}'`;
  // The caller's `fetch` may quote the URL.
  const text = reason.replaceAll(url, name).replaceAll(at, shown(at));
  const message = `'${name}' cannot be reached${where}: ${text}`;
  const details = { url: name, ...(system !== undefined && { system }) };
  const error = new QuantpressError('IO', message, details, { cause: thrown });
  return final ? error : new Again(error);
}

/** Milliseconds to wait for the end of a response of unknown length when all its bytes have arrived. */
const GRACE = 100;

async function readBody(response: Response, length: number, watch: Watch): Promise<Uint8Array<ArrayBuffer>> {
  const into = new Uint8Array(length);
  const reader = response.body?.getReader();
  let filled = 0;
  while (reader && filled < length) {
    const { done, value } = await watch.race(reader.read());
    if (done) {
      watch.complete();
      break;
    }
    const wanted = value.subarray(0, length - filled);
    into.set(wanted, filled);
    filled += wanted.length;
    watch.progress(wanted.length);
  }
  // The connection can be reused only if the end of the response was read. It follows at once if the length was stated,
  // and nearly always otherwise; without a stated length it may also never come.
  const stated = response.headers.get('content-length');
  if (filled === length && (stated === null || stated === String(length))) {
    const end = watch.race(reader?.read() ?? Promise.resolve({ done: true }));
    const last = stated === null ? await Promise.race([end, sleep(GRACE).then(() => undefined)]) : await end;
    if (last?.done) {
      watch.complete();
      return into;
    }
    end.catch(() => {}); // cancelled below
  }
  reader?.cancel().catch(() => {});
  return into.subarray(0, filled);
}

/** Discards a body that is not needed. */
export function drop(response: Response): void {
  response.body?.cancel().catch(() => {});
}

function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      forget();
      resolve();
    }, milliseconds);
    const forget = onAbort(signal, () => {
      clearTimeout(timer);
      reject(signal?.reason);
    });
  });
}

/** The callbacks for each signal. They share one listener, because runtimes report many listeners as a leak. */
const waiting = new WeakMap<AbortSignal, Set<() => void>>();

/** Calls `stop` when `signal` aborts or if it already has; the returned function cancels this. */
function onAbort(signal: AbortSignal | undefined, stop: () => void): () => void {
  if (!signal) return () => {};
  if (signal.aborted) {
    stop();
    return () => {};
  }
  let all = waiting.get(signal);
  if (!all) {
    const created = new Set<() => void>();
    waiting.set(signal, created);
    const aborted = () => {
      for (const each of created) each();
    };
    signal.addEventListener('abort', aborted, { once: true });
    all = created;
  }
  all.add(stop);
  return () => void all.delete(stop);
}
