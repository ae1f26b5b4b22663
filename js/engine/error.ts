/** The one error of the package, and the table of its codes. */

/** What went wrong, broadly. */
export type ErrorKind = 'Format' | 'Parameter' | 'Limit' | 'Unsupported' | 'Io' | 'Internal';

/**
 * Every code and its kind. The first four kinds are the engine's (src/error.rs, a test compares); `Io` belongs to sources
 * and targets, `Internal` to what should not happen.
 */
const CODES = {
  NON_FINITE: 'Parameter',
  LENGTH: 'Parameter',
  RANGE: 'Parameter',
  UNKNOWN_NAME: 'Parameter',
  ARGUMENT: 'Parameter',
  NEEDS_IMPORTANCE: 'Parameter',
  UNREPRESENTABLE: 'Parameter',
  NO_DATA: 'Parameter',
  MALFORMED: 'Format',
  TRUNCATED: 'Format',
  MAGIC: 'Format',
  INVALID_BLOCK: 'Format',
  TOO_LARGE: 'Limit',
  /** Memory ran out. */
  NO_MEMORY: 'Limit',
  UNSUPPORTED: 'Unsupported',
  /** A function was called before `init()` had finished. */
  NOT_READY: 'Parameter',
  /** A file would be written that is also read, or that is written already. */
  SAME_FILE: 'Parameter',
  /** No file or address of that name. */
  NOT_FOUND: 'Io',
  /** The system or the server refuses. */
  DENIED: 'Io',
  /** The disk or the quota is full. */
  NO_SPACE: 'Io',
  /** The file is no longer what it was when it was opened. */
  CHANGED: 'Io',
  /** Another run is at work on the same file. */
  BUSY: 'Io',
  /** Any other failure to read or write. */
  IO: 'Io',
  /** A worker could not be started, or ended by itself. */
  WORKER: 'Internal',
  /** An internal error stopped the engine. */
  PANIC: 'Internal',
  /** An object (a `Calibrator`, an open model ...) of an engine that was stopped by an error; make it anew. */
  STALE: 'Internal',
} as const satisfies Record<string, ErrorKind>;

/** A stable name for one way to fail. */
export type ErrorCode = keyof typeof CODES;

/** Every {@link ErrorCode} with its {@link ErrorKind}. */
export const errorKinds: Readonly<Record<ErrorCode, ErrorKind>> = CODES;

/** The numbers and names of an error's sentence, for programs. */
export type ErrorDetails = Readonly<Record<string, unknown>>;

/** What every function of this package throws, or rejects with, when it fails. */
export class QuantpressError extends Error {
  override readonly name = 'QuantpressError';
  /** What went wrong, broadly. */
  readonly kind: ErrorKind;
  /** Which way it went wrong: stable, for programs to compare. */
  readonly code: ErrorCode;
  /** The numbers and names in the message. */
  readonly details: ErrorDetails;

  /** The kind follows from the code; `options` may have the cause. */
  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}, options?: ErrorOptions) {
    super(message, options);
    this.kind = CODES[code];
    this.code = code;
    this.details = details;
  }
}

/**
 * The engine's errors as {@link QuantpressError}: they arrive as plain `Error`s with the properties of one. The use of what
 * was freed becomes `ARGUMENT`, of what belonged to an engine that stopped `STALE`. Everything else (a `TypeError` of the
 * caller's own callback) stays what it is; `call` (wasm.ts) tells what a trap was.
 */
export function toQuantpressError(thrown: unknown): unknown {
  if (thrown instanceof QuantpressError || !(thrown instanceof Error)) return thrown;
  if ('code' in thrown && typeof thrown.code === 'string' && Object.hasOwn(CODES, thrown.code)) {
    const details = 'details' in thrown ? (thrown.details as ErrorDetails) : {};
    return new QuantpressError(thrown.code as ErrorCode, thrown.message, details);
  }
  // What wasm-bindgen says of an object whose memory is gone.
  if (thrown.message === 'null pointer passed to rust') {
    return new QuantpressError(
      'ARGUMENT',
      'this object has been freed, and cannot be used again',
      {},
      { cause: thrown },
    );
  }
  // What wasm-bindgen says of an object whose instance is gone.
  if (/^Invalid stale object/.test(thrown.message)) {
    const message =
      'this object belongs to an engine that was stopped by an error, and its data is lost; create it again';
    return new QuantpressError('STALE', message, {}, { cause: thrown });
  }
  return thrown;
}
