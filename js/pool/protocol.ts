/** The messages between this thread and its workers. Every message is one member of a union. */

import { QuantpressError, toQuantpressError, type ErrorCode, type ErrorDetails } from '../engine/error.js';
import type { ErrorSums } from '../numerics/distortion.js';
import type { SourceDescription } from '../io/source/source.js';
import type { OpfsCall } from './opfs-files.js';

/** Neighbouring bytes of a source. */
export interface ByteRange {
  offset: number;
  length: number;
}

/** The input bytes: a range of the worker's own source, several ranges one after the other, or the bytes themselves. */
export type TaskInput = ByteRange | readonly ByteRange[] | Uint8Array<ArrayBuffer>;

/** A task of a conversion, which only the engine parses. */
export interface ConvertTask {
  kind: 'convert';
  input: TaskInput;
  task: Uint8Array<ArrayBuffer>;
  /** Whether the bytes pass through unchanged. */
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

/** Decode rows, or a piece of one, and encode and decode them in a format. */
export interface RoundTripTask {
  kind: 'roundTrip';
  input: TaskInput;
  from: string;
  /** The format; absent if only the weights are needed. */
  to: string | undefined;
  columns: number;
  /** One weight per column. */
  importance?: Float32Array | undefined;
  /** The mean square of the whole row, if this is a piece of one. */
  meanSquare?: number | undefined;
}

/** Compare weights with those of another file. */
export interface CompareTask {
  kind: 'compare';
  input: TaskInput;
  from: string;
  other: Uint8Array<ArrayBuffer>;
  otherType: string;
}

/** A task. */
export type Task = ConvertTask | AnalyzeTask | SquaresTask | RoundTripTask | CompareTask;

/** The results of the kinds of tasks. */
export interface Results {
  /** The bytes of the output, and a record of them for the engine. */
  convert: { bytes: Uint8Array<ArrayBuffer>; found: Uint8Array<ArrayBuffer> };
  /** The sums of each format's errors, or the reason why the rows cannot have it. */
  analyze: (ErrorSums | PostedError)[];
  /** The sum. */
  squares: number;
  /** The original and the decoded rows. */
  roundTrip: { original: Float32Array<ArrayBuffer>; decoded?: Float32Array<ArrayBuffer> };
  /** The sums of the difference; if the weights cannot be subtracted, only whether they differ. */
  compare: ErrorSums | 'same' | 'differs';
  /** The result of a call of `worker-opfs.ts`. */
  opfs: Uint8Array<ArrayBuffer>;
}

/** A message from a worker. */
export type Result = Results[keyof Results];

/** A message to a worker. `start` comes first and once, except for a worker that only writes to OPFS. */
export type ToWorker =
  | { type: 'start'; module: WebAssembly.Module; source: SourceDescription | undefined }
  | { type: 'run'; id: number; task: Task }
  | { type: 'opfs'; id: number; call: OpfsCall };

/** From a worker. */
export type FromWorker =
  | { type: 'done'; id: number; result: Result }
  | { type: 'failed'; id: number; error: PostedError; poisoned: boolean };

/** An error as a plain object: `postMessage` preserves only the message of an `Error`. */
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

/** Unpacks an error. */
export function unpackError({ message, code, details }: PostedError): QuantpressError {
  return new QuantpressError(code, message, details);
}
