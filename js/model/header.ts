/** Reads the header of one file of a model, as much as the engine asks for. */

import type { HeaderParser, ModelHeader } from '../engine/model-bindings.js';
import { release } from '../engine/dispose.js';
import { QuantpressError } from '../engine/error.js';
import { breathe } from '../engine/platform.js';
import type { FolderModel } from './folder.js';
import { readInto, type Source } from '../io/source/source.js';
import { callModel } from '../engine/model.js';

/** The size of the first read: enough for the header of a model with a small vocabulary. */
const FIRST_READ = 1 << 18;

/** The engine's header of a file. A safetensors file has been added to the model it belongs to. */
export type FileHeader =
  | { container: 'gguf'; header: ModelHeader }
  | { container: 'safetensors'; header: FolderModel; headerBytes: number };

/** Bytes of a header that are read at once after the first read. */
const READ = 1 << 23;

/** Bytes that are copied to the engine at once, and tensors that it reads at once: some milliseconds. */
const PIECE = 1 << 20;
const TENSORS = 8192;

/**
 * Reads as much from the start as the engine asks for, at least doubling it each time. `folder` returns the model that
 * safetensors files are added to, and `shard` says that the file is known to belong to one model with the others. Other tasks
 * of the thread run between pieces of a GGUF header.
 */
export async function readHeader(
  source: Source,
  folder: () => Promise<FolderModel>,
  shard: boolean,
  signal?: AbortSignal,
): Promise<FileHeader> {
  const start = new Uint8Array(Math.min(FIRST_READ, source.size));
  await readInto(source, start, 0, signal);
  if (!isSafetensors(start)) return { container: 'gguf', header: await readGguf(source, start, signal) };
  return await readSafetensors(source, start, await folder(), shard, signal);
}

async function readSafetensors(
  source: Source,
  start: Uint8Array<ArrayBuffer>,
  header: FolderModel,
  shard: boolean,
  signal?: AbortSignal,
): Promise<FileHeader> {
  header.append(start);
  for (let read = start.length; ; ) {
    const { needed, dataStart } = header.add(source.size, shard);
    if (needed === undefined) return { container: 'safetensors', header, headerBytes: dataStart };
    const end = nextSize(source, read, needed);
    header.reserve(end - read);
    await readPieces(source, read, end, (bytes) => header.append(bytes), signal);
    read = end;
  }
}

async function readGguf(source: Source, start: Uint8Array<ArrayBuffer>, signal?: AbortSignal): Promise<ModelHeader> {
  const parser = callModel((engine) => new engine.HeaderParser(source.size));
  try {
    await add(parser, start);
    for (let read = start.length; ; ) {
      const result = await parsed(parser);
      if (typeof result !== 'number') return result;
      const end = nextSize(source, read, result);
      callModel(() => parser.reserve(end - read));
      await readPieces(source, read, end, (bytes) => add(parser, bytes), signal);
      read = end;
    }
  } finally {
    release(parser, callModel);
  }
}

/** Reads a range in pieces into one buffer, so that only the engine holds all of a long header. */
async function readPieces(
  source: Source,
  from: number,
  to: number,
  add: (bytes: Uint8Array<ArrayBuffer>) => void | Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  const buffer = new Uint8Array(Math.min(READ, to - from));
  for (let at = from; at < to; at += READ) {
    const bytes = buffer.subarray(0, Math.min(READ, to - at));
    await readInto(source, bytes, at, signal);
    await add(bytes);
  }
}

async function add(parser: HeaderParser, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
  for (let at = 0; at < bytes.length; at += PIECE) {
    if (at > 0) await breathe();
    callModel(() => parser.add(bytes.subarray(at, at + PIECE)));
  }
}

/** The header, or how many bytes of the file are needed for it. */
async function parsed(parser: HeaderParser): Promise<ModelHeader | number> {
  for (;;) {
    const result = callModel(() => parser.step(TENSORS)) as ModelHeader | number | undefined;
    if (result !== undefined) return result;
    await breathe();
  }
}

/** The number of bytes to read next, if `read` bytes of the file are not enough and `needed` are required. */
function nextSize({ size }: Source, read: number, needed: number): number {
  if (needed > read && needed <= size) return Math.min(Math.max(needed, read * 2), size);
  throw new QuantpressError('TRUNCATED', `the header needs ${needed} bytes, and the file has ${size}`, {
    needed,
    size,
  });
}

/** Detects safetensors by content: a length of at most 32 bits, and the opening brace of the header. */
function isSafetensors(prefix: Uint8Array): boolean {
  return prefix[8] === 0x7b && prefix.subarray(4, 8).every((byte) => byte === 0);
}
