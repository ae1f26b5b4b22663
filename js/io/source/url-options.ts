/** How URLs are read: the options, their defaults and their limits. */

import { wrongType } from '../../engine/check.js';
import { QuantpressError } from '../../engine/error.js';
import { callback, signal, unchecked, type Reader, type ReaderTable } from '../../engine/options.js';

/** How a URL is read. */
export interface UrlOptions {
  /**
   * Sent with every request to the URL's own origin. After a redirect to another origin they are not sent. Browsers do not let
   * scripts follow redirects one by one: there a redirect is refused if a header other than `Authorization` (which browsers
   * drop themselves) is given, and anything beyond the CORS-safelisted ones makes them ask the server first.
   */
  headers?: Record<string, string> | undefined;
  /** Used in place of the global `fetch`. Workers cannot be sent one, so all reading is then done in this thread. */
  fetch?: typeof fetch | undefined;
  /** Tries per request before giving up; 5 by default. */
  attempts?: number | undefined;
  /** Milliseconds before the second try, doubled for each one after; 500 by default. */
  patience?: number | undefined;
  /** Milliseconds that are waited at most before another try, also if the server asks for more (`Retry-After`); 60 000 by default. */
  maxWait?: number | undefined;
  /**
   * Milliseconds a request may be silent: until its answer begins, and then until each further 16 KiB (or the rest). A silent
   * request is aborted and tried again. 30 000 by default; `Infinity` sets no limit.
   */
  idleTimeout?: number | undefined;
  /** Stops the first request. */
  signal?: AbortSignal | undefined;
}

/** The options that say when and how often is tried, with their defaults. */
export interface Limits {
  attempts: number;
  patience: number;
  maxWait: number;
  idleTimeout: number;
}

const DEFAULTS: Limits = { attempts: 5, patience: 500, maxWait: 60_000, idleTimeout: 30_000 };

/** Timers of JavaScript end at once if they are set for longer. */
export const LONGEST_TIMER = 2 ** 31 - 1;

/** The limits that options set, which have been read. */
export function limitsOf(options: { [K in keyof Limits]?: Limits[K] | undefined }): Limits {
  const { attempts, patience, maxWait, idleTimeout } = DEFAULTS;
  return {
    attempts: options.attempts ?? attempts,
    patience: options.patience ?? patience,
    maxWait: options.maxWait ?? maxWait,
    idleTimeout: options.idleTimeout ?? idleTimeout,
  };
}

/** A number from `least` up, `Infinity` too: it stands for no limit. */
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
