import { checkFetched } from './address.js';
import { QuantpressError, type ErrorDetails } from './error.js';
import { callback, count, signal, unchecked, type ReaderTable } from './options.js';
import { checkRange, type Source, type SourceDescription } from './source.js';

/** How a URL is read. */
export interface UrlOptions {
  /** Sent with every request. Anything beyond the safelisted makes browsers ask the server first (CORS). */
  headers?: Record<string, string> | undefined;
  /** Used in place of the global `fetch`. Workers cannot be sent one, so all reading is then done in this thread. */
  fetch?: typeof fetch | undefined;
  /** Tries per request before giving up, 5 unless told. */
  attempts?: number | undefined;
  /** Milliseconds before the second try, doubled for each one after; 500 unless told. */
  patience?: number | undefined;
  /** Stops the first request. */
  signal?: AbortSignal | undefined;
}

/** @internal Shared by the functions that open. */
export const URL_OPTIONS: ReaderTable<UrlOptions> = {
  headers: unchecked,
  fetch: callback,
  attempts: count,
  patience: count,
  signal,
};

type Pinned = Extract<SourceDescription, { kind: 'url' }>;

/**
 * A file behind http(s), read by ranges. The size comes from a first request for one byte, not from HEAD, which
 * compressing proxies answer without a length. The ETag is pinned: every later answer must carry the same.
 */
export class UrlSource implements Source {
  readonly #pinned: Pinned;
  readonly #options: UrlOptions;

  private constructor(pinned: Pinned, options: UrlOptions) {
    this.#pinned = pinned;
    this.#options = options;
  }

  /** Asks for the first byte, and with it for the size. */
  static async open(url: string, options: UrlOptions = {}): Promise<UrlSource> {
    const headers = options.headers ?? {};
    if (!options.fetch) checkFetched(url, headers);
    const response = await request(url, { ...headers, Range: 'bytes=0-0' }, options, options.signal);
    void response.body?.cancel();
    const size = contentRange(response, url).size;
    const etag = response.headers.get('etag') ?? undefined;
    const { attempts, patience } = options;
    return new UrlSource({ kind: 'url', url, size, etag, headers, attempts, patience }, options);
  }

  /** Goes on reading in another thread what was opened in one. */
  static reopen(pinned: Pinned): UrlSource {
    const { attempts, patience } = pinned;
    return new UrlSource(pinned, {
      ...(attempts !== undefined && { attempts }),
      ...(patience !== undefined && { patience }),
    });
  }

  get size(): number {
    return this.#pinned.size;
  }

  get name(): string {
    return this.#pinned.url;
  }

  async read(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    checkRange(this, offset, length);
    if (length === 0) return new Uint8Array(0);
    const { url, headers } = this.#pinned;
    const range = { ...headers, ...this.#ifUnchanged(), Range: `bytes=${offset}-${offset + length - 1}` };
    return retry(this.#options, signal, async () => {
      const response = await once(url, range, this.#options, signal);
      this.#checkAnswer(response, offset, length);
      const bytes = new Uint8Array(await body(response, url, signal));
      if (bytes.length === length) return bytes;
      const message = `'${url}' sent ${bytes.length} bytes where it had announced ${length}`;
      throw new Again(new QuantpressError('IO', message, { url, got: bytes.length, expected: length }));
    });
  }

  describe(): SourceDescription | undefined {
    return this.#options.fetch ? undefined : this.#pinned;
  }

  async fingerprint(): Promise<string | undefined> {
    return this.#pinned.etag && `etag ${this.#pinned.etag}`;
  }

  /**
   * Asks for the range only if the file is still what it was, which saves the sending of a wrong one. Not from a page to
   * another server: that would have to allow the header first (CORS), and the ETag of each answer is compared in any case.
   */
  #ifUnchanged(): Record<string, string> {
    const { url, etag } = this.#pinned;
    const page = globalThis.location?.origin;
    const foreign = page !== undefined && new URL(url, page).origin !== page;
    // A weak ETag names no bytes.
    return etag === undefined || etag.startsWith('W/') || foreign ? {} : { 'If-Range': etag };
  }

  #checkAnswer(response: Response, offset: number, length: number): void {
    const { url, etag, size } = this.#pinned;
    const answer = contentRange(response, url);
    const now = response.headers.get('etag') ?? undefined;
    if (now !== etag || answer.size !== size) {
      void response.body?.cancel();
      throw changed(url, { size, now: answer.size });
    }
    if (answer.first !== offset || answer.last !== offset + length - 1) {
      void response.body?.cancel();
      const message = `'${url}' was asked for ${length} bytes from ${offset} and answered with bytes ${answer.first}-${answer.last}`;
      throw new QuantpressError('IO', message, { url, offset, length });
    }
  }
}

/** A failure that another try may mend. */
class Again extends Error {
  constructor(
    readonly reason: QuantpressError,
    readonly wait?: number,
  ) {
    super(reason.message);
  }
}

/** A request, tried again while there is hope. */
function request(url: string, headers: Record<string, string>, options: UrlOptions, signal?: AbortSignal) {
  return retry(options, signal, () => once(url, headers, options, signal));
}

async function retry<T>(options: UrlOptions, signal: AbortSignal | undefined, attempt: () => Promise<T>): Promise<T> {
  const attempts = options.attempts ?? 5;
  for (let tried = 1; ; tried++) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof Again)) throw error;
      if (tried >= attempts) throw error.reason;
      await sleep(error.wait ?? (options.patience ?? 500) * 2 ** (tried - 1), signal);
    }
  }
}

async function once(url: string, headers: Record<string, string>, options: UrlOptions, signal?: AbortSignal) {
  const conditional = 'If-Range' in headers;
  let response: Response;
  try {
    response = await (options.fetch ?? fetch)(url, { headers, cache: 'no-store', ...(signal && { signal }) });
  } catch (cause) {
    throw disconnected(url, cause, signal);
  }
  if (response.status === 206) return response;
  void response.body?.cancel();
  // A server that does ranges sends all of the file where If-Range does not hold.
  if (conditional && response.status === 200) throw changed(url);
  throw refused(url, response);
}

function changed(url: string, details: ErrorDetails = {}): QuantpressError {
  const message = `'${url}' was changed on the server while it was being read`;
  return new QuantpressError('CHANGED', message, { url, ...details });
}

async function body(response: Response, url: string, signal?: AbortSignal): Promise<ArrayBuffer> {
  try {
    return await response.arrayBuffer();
  } catch (cause) {
    throw disconnected(url, cause, signal);
  }
}

function disconnected(url: string, cause: unknown, signal?: AbortSignal): unknown {
  if (signal?.aborted) return signal.reason;
  const message = `'${url}' cannot be reached: ${cause instanceof Error ? cause.message : String(cause)}`;
  return new Again(new QuantpressError('IO', message, { url }, { cause }));
}

const BUSY = new Set([408, 425, 429, 500, 502, 503, 504]);

function refused(url: string, response: Response): Error {
  const { status } = response;
  const message =
    status === 200
      ? `'${url}' cannot be read in parts: the server ignores Range and would send the whole file`
      : `'${url}' was refused by the server: ${status} ${response.statusText}`.trimEnd();
  const code = status === 404 || status === 410 ? 'NOT_FOUND' : status === 401 || status === 403 ? 'DENIED' : 'IO';
  const error = new QuantpressError(code, message, { url, status });
  if (!BUSY.has(status)) return error;
  const seconds = Number(response.headers.get('retry-after') ?? NaN);
  return new Again(error, Number.isFinite(seconds) ? Math.min(seconds, 60) * 1000 : undefined);
}

/** `Content-Range: bytes first-last/size`. A server that hides it from scripts (CORS) cannot be read from. */
function contentRange(response: Response, url: string): { first: number; last: number; size: number } {
  const [, first, last, size] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(response.headers.get('content-range') ?? '') ?? [];
  if (size === undefined) {
    const message = `'${url}' answered without a Content-Range that says the size of the file`;
    throw new QuantpressError('IO', message, { url });
  }
  return { first: Number(first), last: Number(last), size: Number(size) };
}

function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve();
    }, milliseconds);
    if (signal?.aborted) stop();
    else signal?.addEventListener('abort', stop, { once: true });
  });
}
