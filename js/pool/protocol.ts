/** What this thread and its workers say to each other. Every message is one member of a union. */

import { QuantpressError, toQuantpressError, type ErrorCode, type ErrorDetails } from '../engine/error.js';
import type { ErrorSums } from '../numerics/distortion.js';
import type { SourceDescription } from '../io/source/source.js';
import type { OpfsCall } from './opfs-files.js';

/** Neighbouring bytes of a source. */
export interface ByteRange {
  offset: number;
  length: number;
}

/** Bytes to work on: a range of the worker's own source, several of them one after the other, or the bytes themselves. */
export type TaskInput = ByteRange | readonly ByteRange[] | Uint8Array<ArrayBuffer>;

/** A task of a conversion, which only the engine reads. */
export interface ConvertTask {
  kind: 'convert';
  input: TaskInput;
  task: Uint8Array<ArrayBuffer>;
  /** Whether the bytes pass through as they are. */
  passes: boolean;
}

/** Try formats on rows, or on a piece of one. */
export interface AnalyzeTask {
  kind: 'analyze';
  input: TaskInput;
  from: string;
  columns: number;
  formats: string[];
  /** One weight per column. */
  importance?: Float32Array | undefined;
  /** The mean square of the whole row, if this is a piece of one. */
  meanSquare?: number | undefined;
}

/** Add the squares of the next piece of a row to the sum of those before it. */
export interface SquaresTask {
  kind: 'squares';
  input: TaskInput;
  from: string;
  sum: number;
}

/** Widen rows, or a piece of one, and say what they come back as from a format. */
export interface RoundTripTask {
  kind: 'roundTrip';
  input: TaskInput;
  from: string;
  /** The format; none if the weights alone are wanted. */
  to: string | undefined;
  columns: number;
  /** One weight per column. */
  importance?: Float32Array | undefined;
  /** The mean square of the whole row, if this is a piece of one. */
  meanSquare?: number | undefined;
}

/** Compare weights with others, of another file. */
export interface CompareTask {
  kind: 'compare';
  input: TaskInput;
  from: string;
  other: Uint8Array<ArrayBuffer>;
  otherType: string;
}

/** One piece of work. */
export type Task = ConvertTask | AnalyzeTask | SquaresTask | RoundTripTask | CompareTask;

/** What the kinds of work give back. */
export interface Results {
  /** The bytes of the output, and what the engine has to know of them. */
  convert: { bytes: Uint8Array<ArrayBuffer>; found: Uint8Array<ArrayBuffer> };
  /** The sums of each format's errors, or why the rows cannot have it. */
  analyze: (ErrorSums | PostedError)[];
  /** The sum. */
  squares: number;
  /** The rows as they were, and as they came back. */
  roundTrip: { original: Float32Array<ArrayBuffer>; decoded?: Float32Array<ArrayBuffer> };
  /** The sums of the difference; where the weights cannot be subtracted, only whether there is one. */
  compare: ErrorSums | 'same' | 'differs';
  /** What a call of `worker-opfs.ts` gives back. */
  opfs: Uint8Array<ArrayBuffer>;
}

/** What a message from a worker may carry. */
export type Result = Results[keyof Results];

/** To a worker. `start` comes first and once; one that only writes to OPFS needs none. */
export type ToWorker =
  | { type: 'start'; module: WebAssembly.Module; source: SourceDescription | undefined }
  | { type: 'run'; id: number; task: Task }
  | { type: 'opfs'; id: number; call: OpfsCall };

/** From a worker. */
export type FromWorker =
  | { type: 'done'; id: number; result: Result }
  | { type: 'failed'; id: number; error: PostedError; poisoned: boolean };

/** An error as a plain object: `postMessage` keeps of an `Error` only its message. */
export interface PostedError {
  message: string;
  code: ErrorCode;
  details: ErrorDetails;
}

/** Packs an error for `postMessage`. */
export function packError(error: unknown): PostedError {
  const known = toQuantpressError(error);
  if (known instanceof QuantpressError) return { message: known.message, code: known.code, details: known.details };
  return { message: `a worker failed: ${error}`, code: 'WORKER', details: {} };
}

/** The error that was packed. */
export function unpackError({ message, code, details }: PostedError): QuantpressError {
  return new QuantpressError(code, message, details);
}
