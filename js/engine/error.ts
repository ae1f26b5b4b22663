/** The error class of the package, and the table of its codes. */

/** The category of an error. */
export type ErrorKind = 'Format' | 'Parameter' | 'Limit' | 'Unsupported' | 'Io' | 'Internal';

/**
 * Every code and its kind. The first four kinds are the engine's (src/error.rs, a test compares); `Io` belongs to
 * sources and targets, `Internal` to internal errors.
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
  /** No file or URL has that name. */
  NOT_FOUND: 'Io',
  /** The system or the server refuses. */
  DENIED: 'Io',
  /** The disk or the quota is full. */
  NO_SPACE: 'Io',
  /** The file has changed since it was opened. */
  CHANGED: 'Io',
  /** Another run is writing the same file. */
  BUSY: 'Io',
  /** Any other failure to read or write. */
  IO: 'Io',
  /** A worker could not be started, or ended unexpectedly. */
  WORKER: 'Internal',
  /** An internal error stopped the engine. */
  PANIC: 'Internal',
  /** An object (a `Calibrator`, an open model ...) of an engine that was stopped by an error; create it again. */
  STALE: 'Internal',
} as const satisfies Record<string, ErrorKind>;

/** A stable name of a kind of failure. */
export type ErrorCode = keyof typeof CODES;

/** Every {@link ErrorCode} with its {@link ErrorKind}. */
export const errorKinds: Readonly<Record<ErrorCode, ErrorKind>> = CODES;

/** The numbers and names in an error's message, for programs. */
export type ErrorDetails = Readonly<Record<string, unknown>>;

/** The error that every function of this package throws or rejects with. */
export class QuantpressError extends Error {
  override readonly name = 'QuantpressError';
  /** The category of an error. */
  readonly kind: ErrorKind;
  /** The kind of failure, stable for programs to compare. */
  readonly code: ErrorCode;
  /** The numbers and names in the message. */
  readonly details: ErrorDetails;

  /** The kind follows from the code; `options` may contain the cause. */
  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}, options?: ErrorOptions) {
    super(message, options);
    this.kind = CODES[code];
    this.code = code;
    this.details = details;
  }
}

/**
 * The engine's errors as {@link QuantpressError}: they arrive as plain `Error`s with the same properties. Using a freed
 * object becomes `ARGUMENT`, using an object of a stopped engine `STALE`. Everything else (a `TypeError` of the
 * caller's own callback) is unchanged; `call` (wasm.ts) handles traps.
 */
export function toQuantpressError(thrown: unknown): unknown {
  if (thrown instanceof QuantpressError || !(thrown instanceof Error)) return thrown;
  if ('code' in thrown && typeof thrown.code === 'string' && Object.hasOwn(CODES, thrown.code)) {
    const details = 'details' in thrown ? (thrown.details as ErrorDetails) : {};
    return new QuantpressError(thrown.code as ErrorCode, thrown.message, details);
  }
  // wasm-bindgen's message for an object whose memory was freed.
  if (thrown.message === 'null pointer passed to rust') {
    return new QuantpressError(
      'ARGUMENT',
      'this object has been freed, and cannot be used again',
      {},
      { cause: thrown },
    );
  }
  // wasm-bindgen's message for an object whose instance was replaced.
  if (/^Invalid stale object/.test(thrown.message)) {
    const message =
      'this object belongs to an engine that was stopped by an error, and its data is lost; create it again';
    return new QuantpressError('STALE', message, {}, { cause: thrown });
  }
  return thrown;
}
