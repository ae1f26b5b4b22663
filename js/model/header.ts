/** Reads the header of one file of a model, as much as the engine asks for. */

import type { ModelHeader, SafetensorsModel } from '../engine/bindings.js';
import { QuantpressError } from '../engine/error.js';
import { readInto, type Source } from '../io/source/source.js';
import { call } from '../engine/wasm.js';

/** The size of the first read: enough for the header of a model with a small vocabulary. */
const FIRST_READ = 1 << 18;

/** The engine's header of a file. A safetensors file has been added to the model it belongs to. */
export type FileHeader =
  | { container: 'gguf'; header: ModelHeader }
  | { container: 'safetensors'; header: SafetensorsModel; headerBytes: number };

/**
 * Reads as much from the start as the engine asks for, at least doubling it each time. `folder` returns the model that
 * safetensors files are added to, and `shard` says that the file is known to belong to one model with the others.
 */
export async function readHeader(
  source: Source,
  folder: () => SafetensorsModel,
  shard: boolean,
  signal?: AbortSignal,
): Promise<FileHeader> {
  let prefix = new Uint8Array(0);
  for (let needed = FIRST_READ; ; ) {
    const size = Math.min(Math.max(needed, prefix.length * 2), source.size);
    const longer = new Uint8Array(size);
    longer.set(prefix);
    await readInto(source, longer.subarray(prefix.length), prefix.length, signal);
    prefix = longer;
    const result = isSafetensors(prefix)
      ? addSafetensors(folder(), prefix, source.size, shard)
      : parseGguf(prefix, source.size);
    if (typeof result !== 'number') return result;
    if (result <= prefix.length || result > source.size) {
      const message = `the header needs ${result} bytes, but the file has only ${source.size}`;
      throw new QuantpressError('TRUNCATED', message, { needed: result, size: source.size });
    }
    needed = result;
  }
}

function parseGguf(prefix: Uint8Array, size: number): FileHeader | number {
  const header = call((engine) => engine.ModelHeader.parse(prefix, size)) as ModelHeader | number;
  return typeof header === 'number' ? header : { container: 'gguf', header };
}

function addSafetensors(
  header: SafetensorsModel,
  prefix: Uint8Array,
  size: number,
  shard: boolean,
): FileHeader | number {
  const { needed, dataStart } = call(() => header.add(prefix, size, shard)) as { needed?: number; dataStart: number };
  return needed ?? { container: 'safetensors', header, headerBytes: dataStart };
}

/** Detects safetensors by content: a length of at most 32 bits, and the opening brace of the header. */
function isSafetensors(prefix: Uint8Array): boolean {
  return prefix[8] === 0x7b && prefix.subarray(4, 8).every((byte) => byte === 0);
}
