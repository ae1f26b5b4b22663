/** The options for reading URLs, their defaults and their limits. */

import { wrongType } from '../../engine/check.js';
import { QuantpressError } from '../../engine/error.js';
import { callback, signal, unchecked, type Reader, type ReaderTable } from '../../engine/options.js';

/** Options for reading a URL. */
export interface UrlOptions {
  /**
   * Sent with every request to the URL's own origin. After a redirect to another origin they are not sent. Browsers do not let
   * scripts follow redirects one by one: there a redirect is rejected if headers other than `Authorization` (which
   * browsers drop themselves) are given, and headers that are not CORS-safelisted cause a preflight request.
   */
  headers?: Record<string, string> | undefined;
  /** Used instead of the global `fetch`. It cannot be posted to workers, so this thread then does all reading. */
  fetch?: typeof fetch | undefined;
  /** The number of attempts per request; 5 by default. */
  attempts?: number | undefined;
  /** Milliseconds before the second attempt, doubled for each further one; 500 by default. */
  patience?: number | undefined;
  /**
   * The longest wait before another attempt in milliseconds, also if the server asks for more (`Retry-After`); 60 000
   * by default.
   */
  maxWait?: number | undefined;
  /**
   * Milliseconds that a request may receive nothing: until its response begins, and then until each further 16 KiB (or
   * the rest). Such a request is aborted and retried. 30 000 by default; `Infinity` sets no limit.
   */
  idleTimeout?: number | undefined;
  /** Stops the first request. */
  signal?: AbortSignal | undefined;
}

/** The options for timeouts and attempts, with their defaults. */
export interface Limits {
  attempts: number;
  patience: number;
  maxWait: number;
  idleTimeout: number;
}

const DEFAULTS: Limits = { attempts: 5, patience: 500, maxWait: 60_000, idleTimeout: 30_000 };

/** The longest timer in JavaScript; a longer one would fire at once. */
export const LONGEST_TIMER = 2 ** 31 - 1;

/** The limits that parsed options set. */
export function limitsOf(options: { [K in keyof Limits]?: Limits[K] | undefined }): Limits {
  const { attempts, patience, maxWait, idleTimeout } = DEFAULTS;
  return {
    attempts: options.attempts ?? attempts,
    patience: options.patience ?? patience,
    maxWait: options.maxWait ?? maxWait,
    idleTimeout: options.idleTimeout ?? idleTimeout,
  };
}

/** A number of at least `least`, or `Infinity` for no limit. */
const atLeast =
  (least: number, whole: boolean): Reader<number> =>
  (name, value) => {
    const wanted = `${whole ? 'a whole number' : 'a number of milliseconds'} from ${least} up`;
    if (typeof value !== 'number') throw wrongType(name, wanted, value);
    if (value >= least && (!whole || Number.isInteger(value))) return value;
    throw new QuantpressError('RANGE', `${name} is ${value}, and must be ${wanted}`, { [name]: value });
  };

/** @internal Shared by the functions that open. */
export const URL_OPTIONS: ReaderTable<UrlOptions> = {
  headers: unchecked,
  fetch: callback,
  attempts: atLeast(1, true),
  patience: atLeast(0, false),
  maxWait: atLeast(0, false),
  idleTimeout: atLeast(1, false),
  signal,
};
