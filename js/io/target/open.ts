/** Opens targets. */

import { QuantpressError } from '../../engine/error.js';
import { shardSuffix } from '../file-names.js';
import { expectFilePath } from '../output-path.js';
import { pathTarget } from './path.js';
import { joinTargets } from './joined.js';
import { StreamTarget } from './stream.js';
import { AccessHandleTarget, WebFileTarget, type AccessHandle } from './web-file.js';
import type { Target } from './target.js';

/**
 * Everything {@link openTarget} takes: a path (Node), a `FileSystemFileHandle` (from `showSaveFilePicker` or OPFS), a
 * synchronous access handle (OPFS, in a worker), a `WritableStream`, or a {@link Target} such as a `MemoryTarget`.
 */
export type TargetInput = Target | string | ChosenFile | AccessHandle | WritableStream<Uint8Array<ArrayBuffer>>;

/** A `FileSystemFileHandle`, declared without the types of the DOM. */
export interface ChosenFile {
  readonly kind: 'file';
  readonly name: string;
  /** Opens the file for writing. */
  createWritable(): Promise<unknown>;
}

/** Creates a target from the caller's input. A {@link Target} is returned unchanged. */
export async function openTarget(input: TargetInput): Promise<Target> {
  if (typeof input === 'string') return pathTarget(input);
  if (typeof input === 'object' && input !== null) {
    if ('fd' in input) {
      // It has the members of an access handle, but they return promises: the file would be emptied, and then writing
      // would fail.
      throw new QuantpressError('ARGUMENT', 'a Node FileHandle cannot be a target; pass the path of the file', {});
    }
    if ('createWritable' in input) return new WebFileTarget(input as FileSystemFileHandle);
    if ('getWriter' in input) return new StreamTarget(input);
    if ('truncate' in input) return new AccessHandleTarget(input);
    if ('write' in input && 'abort' in input) return input;
  }
  const message = 'a target is a path, a file handle, a WritableStream or { write, close, abort }';
  throw new QuantpressError('ARGUMENT', message, {});
}

/** A file that a model is written to, see {@link TargetSet}. */
export interface TargetShard {
  /** Its index, from 0, and the number of files. */
  index: number;
  count: number;
  /** The suffix of its name, by which llama.cpp finds shards: `-00001-of-00003.gguf`, or `.gguf` for a single file. */
  suffix: string;
  /** Its size in bytes. */
  size: number;
}

/**
 * Returns a target for each file of a model that is written in shards:
 *
 * ```ts
 * quantizeModel(model, ({ suffix }) => new OpfsTarget(folder, `model${suffix}`), { preset: 'Q4_K_M', splitMaxSize: '500MB' });
 * ```
 */
export type TargetSet = (shard: TargetShard) => TargetInput | Promise<TargetInput>;

/** The targets of a plan: all files as one target, and the target of each file. */
export interface OpenTargets {
  whole: Target;
  files: readonly Target[];
}

/** The target of everything a plan writes. A path is that of a single file, or the prefix of the names of several. */
export async function openTargets(
  input: TargetInput | TargetSet,
  { shards, split }: { shards: readonly { size: number }[]; split: boolean },
): Promise<OpenTargets> {
  if (typeof input !== 'function' && (!split || (typeof input !== 'string' && shards.length === 1))) {
    const whole = await openTarget(input);
    return { whole, files: [whole] };
  }
  if (typeof input !== 'function' && typeof input !== 'string') {
    const message = `the model is written to ${shards.length} files: the target must be a path or a function that returns a target for each`;
    throw new QuantpressError('ARGUMENT', message, { shards: shards.length });
  }
  if (typeof input === 'string') expectFilePath(input);
  const stem = typeof input === 'string' ? input.replace(/\.gguf$/i, '') : '';
  const set = typeof input === 'function' ? input : ({ suffix }: TargetShard) => `${stem}${suffix}`;
  const count = shards.length;
  const parts: { target: Target; size: number }[] = [];
  for (const [index, { size }] of shards.entries()) {
    const suffix = split ? `${shardSuffix(index, count)}.gguf` : '.gguf';
    parts.push({ target: await openTarget(await set({ index, count, suffix, size })), size });
  }
  const files = parts.map(({ target }) => target);
  const [only] = files;
  return { whole: only && count === 1 ? only : joinTargets(parts), files };
}
