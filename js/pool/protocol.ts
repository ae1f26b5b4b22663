/** The messages between this thread and its workers. Every message is one member of a union. */

import { QuantpressError, toQuantpressError, type ErrorCode, type ErrorDetails } from '../engine/error.js';
import type { DistortionSums } from '../numerics/distortion.js';
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

/** A measurement of some rows, which only the engine reads. */
export interface MeasureTask {
  kind: 'measure';
  input: TaskInput;
  measure: Uint8Array<ArrayBuffer>;
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
export type Task = ConvertTask | MeasureTask | CompareTask;

/** The results of the kinds of tasks. */
export interface Results {
  /** The bytes of the output, and a record of them for the engine. */
  convert: { bytes: Uint8Array<ArrayBuffer>; found: Uint8Array<ArrayBuffer> };
  /** What was measured, which only the engine reads. */
  measure: Uint8Array<ArrayBuffer>;
  /** The sums of the difference; one number for a difference that cannot be measured, and none if there is none. */
  compare: DistortionSums;
  /** The result of a call of `opfs-files.ts`. */
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
