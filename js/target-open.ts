/** The door to the targets: whatever the caller has. */

import { QuantpressError } from './error.js';
import { pathTarget } from './target-file.js';
import { StreamTarget } from './target-stream.js';
import { AccessHandleTarget, WebFileTarget, type AccessHandle } from './target-web-file.js';
import type { Target } from './target.js';

/**
 * Everything {@link openTarget} takes: a path (Node), a `FileSystemFileHandle` (from `showSaveFilePicker` or OPFS), a
 * synchronous access handle (OPFS, in a worker), a `WritableStream`, or a {@link Target} such as a `MemoryTarget`.
 */
export type TargetInput =
  | Target
  | string
  | FileSystemFileHandle
  | AccessHandle
  | WritableStream<Uint8Array<ArrayBuffer>>;

/** Makes a target of what the caller has. A {@link Target} is returned as it is. */
export async function openTarget(input: TargetInput): Promise<Target> {
  if (typeof input === 'string') return pathTarget(input);
  if (typeof input === 'object' && input !== null) {
    if ('createWritable' in input) return new WebFileTarget(input);
    if ('getWriter' in input) return new StreamTarget(input);
    if ('truncate' in input) return new AccessHandleTarget(input);
    if ('write' in input && 'abort' in input) return input;
  }
  const message = 'a target is a path, a file handle, a WritableStream or { write, close, abort }';
  throw new QuantpressError('ARGUMENT', message, {});
}
