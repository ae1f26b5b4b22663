/** What this thread and its workers say to each other. Every message is one member of a union. */

import { QuantpressError, toQuantpressError, type ErrorCode, type ErrorDetails } from './error.js';
import type { SourceDescription } from './source.js';
import type { OpfsCall } from './worker-opfs.js';

/** Bytes to work on: a range of the worker's own source, or the bytes themselves. */
export type TaskInput = { offset: number; length: number } | Uint8Array<ArrayBuffer>;

/** Widen whole rows of one format to f32 and encode them in another. */
export interface EncodeTask {
  kind: 'encode';
  input: TaskInput;
  from: string;
  to: string;
  rowLength: number;
  /** Rows of one attention head whose halves are interleaved first; 0 for none. */
  headRows: number;
  /** One weight per column. */
  importance?: Float32Array | undefined;
}

/** One piece of work. */
export type Task = EncodeTask;

/** What the kinds of work give back. */
export interface Results {
  encode: Uint8Array<ArrayBuffer>;
}

/** To a worker. `start` comes first and once; one that only writes to OPFS needs none. */
export type ToWorker =
  | { type: 'start'; module: WebAssembly.Module; source: SourceDescription | undefined }
  | { type: 'run'; id: number; task: Task }
  | { type: 'opfs'; id: number; call: OpfsCall };

/** From a worker. */
export type FromWorker =
  | { type: 'done'; id: number; result: Results[Task['kind']] }
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
