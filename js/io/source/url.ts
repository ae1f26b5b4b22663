import { checkFetched, shown } from '../url.js';
import { QuantpressError, type ErrorDetails } from '../../engine/error.js';
import { Sample } from './sample.js';
import { checkRange, type Source, type SourceDescription } from './source.js';
import type { UrlOptions } from './url-options.js';
import { Again, ask, drop, type Question } from './request.js';

type Pinned = Extract<SourceDescription, { kind: 'url' }>;

/**
 * A file on an http(s) server, read by ranges. The size comes from a first request for one byte, not from HEAD, which
 * compressing proxies answer without a length.
 *
 * The ETag is pinned: every later response must have the same ETag, or without one the same Last-Modified. Only a
 * strong ETag proves that the bytes are the same. Without one {@link check} reads a sample again, in several places,
 * and compares it with what was there when the source was opened: that finds another file, and can miss a change of a
 * few bytes.
 */
export class UrlSource implements Source {
  readonly #pinned: Pinned;
  readonly #options: UrlOptions;
  /** The name that is shown to the user. */
  readonly #name: string;
  #sample: Sample | undefined;

  private constructor(pinned: Pinned, options: UrlOptions) {
    this.#pinned = pinned;
    this.#options = options;
    this.#name = shown(pinned.url);
  }

  /** Requests the first byte, and with it the size. */
  static async open(url: string, options: UrlOptions = {}): Promise<UrlSource> {
    const headers = options.headers ?? {};
    const { attempts, patience, maxWait, idleTimeout } = options;
    checkFetched(url, headers);
    const question: Question = { url, headers, own: { Range: 'bytes=0-0' }, options, signal: options.signal };
    const pinned = await ask(question, async ({ response, bytes }): Promise<Pinned> => {
      const { size, last } = isEmpty(response) ? EMPTY : firstByte(response, url);
      // One byte is read to its end: to cancel it would be reported as a failed request, and would cost the connection.
      if (last === 0) await bytes(1);
      else drop(response);
      const validators = validatorsOf(response);
      return { kind: 'url', url, size, ...validators, headers, attempts, patience, maxWait, idleTimeout };
    });
    const source = new UrlSource(pinned, options);
    if (!isStrong(pinned.etag)) source.#sample = await Sample.take(source, options.signal);
    return source;
  }

  /** Opens a source in another thread from its description. */
  static reopen(pinned: Pinned): UrlSource {
    const { attempts, patience, maxWait, idleTimeout } = pinned;
    return new UrlSource(pinned, {
      ...(attempts !== undefined && { attempts }),
      ...(patience !== undefined && { patience }),
      ...(maxWait !== undefined && { maxWait }),
      ...(idleTimeout !== undefined && { idleTimeout }),
    });
  }

  get size(): number {
    return this.#pinned.size;
  }

  /** The URL without its secret parts. */
  get name(): string {
    return this.#name;
  }

  async read(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    checkRange(this, offset, length);
    if (length === 0) return new Uint8Array(0);
    const { url, headers } = this.#pinned;
    const own = { ...this.#ifUnchanged(), Range: `bytes=${offset}-${offset + length - 1}` };
    return ask({ url, headers, own, options: this.#options, signal }, async ({ response, bytes }) => {
      this.#checkAnswer(response, offset, length);
      const got = await bytes(length);
      if (got.length === length) return got;
      throw cutShort(url, got.length, length);
    });
  }

  describe(): SourceDescription | undefined {
    return this.#options.fetch ? undefined : this.#pinned;
  }

  async check(): Promise<void> {
    if (!this.#sample || this.#sample.equals(await Sample.take(this))) return;
    throw changed(this.#pinned.url);
  }

  async fingerprint(): Promise<string | undefined> {
    return this.#pinned.etag && `etag ${this.#pinned.etag}`;
  }

  /**
   * Requests the range only if the file is unchanged (If-Range). A page does not send this to another origin, where the
   * header needs a CORS preflight; the ETag of each response is compared in any case.
   */
  #ifUnchanged(): Record<string, string> {
    const { url, etag } = this.#pinned;
    const page = globalThis.location?.origin;
    const foreign = page !== undefined && new URL(url, page).origin !== page;
    return etag === undefined || !isStrong(etag) || foreign ? {} : { 'If-Range': etag };
  }

  #checkAnswer(response: Response, offset: number, length: number): void {
    const { url, size, ...before } = this.#pinned;
    // A server that supports ranges sends the whole file if If-Range does not match.
    if (response.status === 200 && isStrong(before.etag)) throw changed(url);
    const answer = contentRange(response, url);
    const now = validatorsOf(response);
    const same = before.etag === undefined ? now.modified === before.modified : true;
    if (now.etag !== before.etag || !same || answer.size !== size) throw changed(url, { size, now: answer.size });
    if (answer.first !== offset || answer.last !== offset + length - 1) {
      const got = `bytes ${answer.first}-${answer.last}`;
      throw broken(url, `answered a request for ${length} bytes from ${offset} with ${got}`, { offset, length });
    }
    const announced = response.headers.get('content-length');
    if (announced !== null && Number(announced) !== length) throw cutShort(url, Number(announced), length, 'announced');
  }
}

/** A weak ETag may stand for different bytes. */
function isStrong(etag: string | undefined): boolean {
  return etag !== undefined && !etag.startsWith('W/');
}

function validatorsOf({ headers }: Response): Pick<Pinned, 'etag' | 'modified'> {
  return { etag: headers.get('etag') ?? undefined, modified: headers.get('last-modified') ?? undefined };
}

const EMPTY = { size: 0, last: -1 };

/** An empty file has no first byte. */
function isEmpty({ status, headers }: Response): boolean {
  return status === 416 && headers.get('content-range')?.trim() === 'bytes */0';
}

/** Some servers (sirv, and so Vite's) treat the range 0-0 as the whole file. Only its size is needed here. */
function firstByte(response: Response, url: string): { last: number; size: number } {
  const { first, last, size } = contentRange(response, url);
  if (first === 0) return { last, size };
  throw broken(url, `answered a request for its first byte with bytes ${first}-${last}`);
}

/** `Content-Range: bytes first-last/size`. A server that hides it from scripts (CORS) cannot be read from. */
function contentRange(response: Response, url: string): { first: number; last: number; size: number } {
  if (response.status !== 206) throw refused(url, response);
  const encoding = response.headers.get('content-encoding') ?? 'identity';
  if (!/^identity(, *identity)*$/i.test(encoding)) {
    throw broken(url, `is sent compressed (Content-Encoding: ${clean(encoding)}), which was not requested`);
  }
  const type = response.headers.get('content-type') ?? '';
  if (/^multipart\//i.test(type)) throw broken(url, `answered with several ranges (${clean(type)}) instead of one`);
  const range = response.headers.get('content-range') ?? '';
  const [first, last, size] = (/^bytes (\d+)-(\d+)\/(\d+)$/.exec(range) ?? []).slice(1).map(Number);
  const valid = first !== undefined && last !== undefined && size !== undefined;
  if (valid && Number.isSafeInteger(size) && first <= last && last < size) return { first, last, size };
  throw broken(url, 'answered without a valid Content-Range that states the size of the file');
}

const BUSY = new Set([408, 425, 429, 500, 502, 503, 504]);

function refused(url: string, response: Response): Error {
  const { status, headers } = response;
  const name = shown(url);
  const page = /^text\/html\b/i.test(headers.get('content-type') ?? '');
  const message =
    status === 200
      ? page
        ? `'${name}' is a web page and not a model file: it may ask to log in, or to accept terms`
        : `'${name}' cannot be read in parts: the server ignores Range and would send the whole file`
      : `'${name}' cannot be read: the server answered ${status} ${clean(response.statusText)}`.trimEnd();
  const code = status === 404 || status === 410 ? 'NOT_FOUND' : status === 401 || status === 403 ? 'DENIED' : 'IO';
  const error = new QuantpressError(code, message, { url: name, status });
  return BUSY.has(status) ? new Again(error, retryAfter(headers.get('retry-after'))) : error;
}

/** `Retry-After` in milliseconds: a number of seconds, or the date to wait for. Anything else is ignored. */
function retryAfter(text: string | null): number | undefined {
  if (text === null) return undefined;
  if (/^\s*\d+\s*$/.test(text)) return Number(text) * 1000;
  // A date names its day, or begins with a year: `Date.parse` also takes numbers.
  const until = /^\s*[a-z]{3}/i.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(until) ? undefined : Math.max(0, until - Date.now());
}

function cutShort(url: string, got: number, expected: number, did = 'sent'): Again {
  const name = shown(url);
  const message = `'${name}' ${did} ${got} bytes instead of the requested ${expected}`;
  return new Again(new QuantpressError('IO', message, { url: name, got, expected }));
}

function broken(url: string, what: string, details: ErrorDetails = {}): QuantpressError {
  const name = shown(url);
  return new QuantpressError('IO', `'${name}' ${what}`, { url: name, ...details });
}

function changed(url: string, details: ErrorDetails = {}): QuantpressError {
  const name = shown(url);
  return new QuantpressError('CHANGED', `'${name}' was changed on the server while it was being read`, {
    url: name,
    ...details,
  });
}

/** Text of a server, cleaned for use in a message. */
function clean(text: string): string {
  return text.length > 100 ? `${text.slice(0, 100)}...` : text;
}
