/** A model file: its metadata and tensors, and the weights of any of its rows. */

import { expectObject, expectText } from './check.js';
import type { ModelHeader, SafetensorsModel } from './engine.js';
import { QuantpressError } from './error.js';
import { dequantize, formats, type FormatName } from './format.js';
import { openSource, type SourceInput } from './source-open.js';
import type { UrlOptions } from './source-url.js';
import { readExactly, type Source } from './source.js';
import { call } from './wasm.js';

/** How a model file can store weights: every format, and what only safetensors files hold. */
export type SourceType = FormatName | 'F8_E4M3' | 'F8_E5M2' | 'BOOL' | 'U8' | 'U16' | 'U32' | 'U64';

/** A tensor of a model file. */
export interface TensorInfo {
  /** The name, unique in the file. */
  name: string;
  /** How its weights are stored. */
  type: SourceType;
  /** The dimensions, one at least; the first is the length of a row, also where a file lists it last. */
  shape: number[];
  /** Where its bytes begin in the file. */
  offset: number;
  /** How many there are. */
  bytes: number;
}

/** One metadata value. An array of more than 64 elements (a vocabulary) is only begun. */
export type MetadataValue =
  | { type: string; value: string | number | boolean | bigint | unknown[] }
  | { type: string; length: number; head: unknown[] };

/** Options of {@link Model.readTensor}. */
export interface ReadTensorOptions {
  /** The rows to read, from the first up to but not including the second. All of them unless told. */
  rows?: readonly [from: number, to: number];
  /** Stops reading. */
  signal?: AbortSignal;
}

/** Enough for the header of a model with a small vocabulary; a large one asks for more. */
const FIRST_READ = 1 << 18;

/** An open model file. {@link openModel} makes them. */
export class Model {
  /** What the file is. */
  readonly container: 'gguf' | 'safetensors';
  /** The version of the container; 0 for safetensors, which has none. */
  readonly version: number;
  /** To what multiple tensors are placed in the file. */
  readonly alignment: number;
  /** Bytes before the first tensor. */
  readonly headerBytes: number;
  /** The metadata, in the order of the file. */
  readonly metadata: ReadonlyMap<string, MetadataValue>;
  /** The tensors, in the order of the file. */
  readonly tensors: readonly TensorInfo[];
  /** Where it is read from. */
  readonly source: Source;
  /** @internal What the engine knows of it. */
  readonly header: ModelHeader | SafetensorsModel;

  /** @internal */
  constructor(source: Source, { container, header, version, alignment, headerBytes }: OpenedHeader) {
    this.source = source;
    this.header = header;
    this.container = container;
    this.version = version;
    this.alignment = alignment;
    this.headerBytes = headerBytes;
    this.metadata = new Map(call(() => header.metadata()) as [string, MetadataValue][]);
    this.tensors = call(() => header.tensors()) as TensorInfo[];
  }

  /**
   * The tensor of a name.
   *
   * @throws {@link QuantpressError} `UNKNOWN_NAME`.
   */
  tensor(name: string): TensorInfo {
    expectText('name', name);
    const tensor = this.tensors.find((candidate) => candidate.name === name);
    if (tensor) return tensor;
    throw new QuantpressError('UNKNOWN_NAME', `the model has no tensor '${name}'`, { tensor: name });
  }

  /**
   * Weights of a tensor, widened to f32: only the bytes of the rows asked for are read.
   *
   * @returns `shape[0]` weights for each row.
   * @throws {@link QuantpressError} `UNKNOWN_NAME`, `RANGE` for rows it does not have, and what reading throws.
   */
  async readTensor(name: string, options: ReadTensorOptions = {}): Promise<Float32Array<ArrayBuffer>> {
    expectObject('options', options);
    const tensor = this.tensor(name);
    const rows = tensor.shape.slice(1).reduce((product, n) => product * n, 1);
    const [from, to] = options.rows ?? [0, rows];
    if (!Number.isInteger(from) || !Number.isInteger(to) || from < 0 || to < from || to > rows) {
      const message = `tensor '${name}' has rows 0 to ${rows}, and ${from} to ${to} were asked for`;
      throw new QuantpressError('RANGE', message, { tensor: name, rows, from, to });
    }
    const rowBytes = rows === 0 ? 0 : tensor.bytes / rows;
    const bytes = await readExactly(
      this.source,
      tensor.offset + from * rowBytes,
      (to - from) * rowBytes,
      options.signal,
    );
    const { type } = tensor;
    if (isFormat(type)) return dequantize(bytes, type);
    return call((engine) => engine.widen(bytes, type)) as Float32Array<ArrayBuffer>;
  }

  /** Lets go of the source and of the engine's memory. */
  async close(): Promise<void> {
    call(() => this.header.free());
    await this.source.close?.();
  }

  /** {@link close}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/**
 * Opens a model file and reads its header, not its tensors.
 *
 * @param input - Bytes, a `Blob` or `File`, a URL, a path or `FileHandle` (Node), or any {@link Source}.
 * @throws {@link QuantpressError} `MAGIC` if it is no model file, `TRUNCATED`, `MALFORMED`, `TOO_LARGE`, `UNSUPPORTED`, or why
 * it cannot be read (`NOT_FOUND`, `DENIED`, `IO`).
 * @example
 * ```ts
 * const model = await openModel('model-f16.gguf');
 * console.log(model.metadata.get('general.name'), model.tensors.length);
 * ```
 */
export async function openModel(input: SourceInput, options: UrlOptions = {}): Promise<Model> {
  expectObject('options', options);
  const source = await openSource(input, options);
  try {
    return new Model(source, await readHeader(source, options.signal));
  } catch (error) {
    // A source of the caller's own stays the caller's.
    if (source !== input) await source.close?.();
    throw error;
  }
}

/** What the engine knows of a file, and what it says of its container. */
interface OpenedHeader {
  container: Model['container'];
  header: ModelHeader | SafetensorsModel;
  version: number;
  alignment: number;
  headerBytes: number;
}

/** Reads as much from the start as the engine asks for, at least doubling it each time. */
async function readHeader(source: Source, signal?: AbortSignal): Promise<OpenedHeader> {
  let prefix = new Uint8Array(0);
  for (let needed = FIRST_READ; ; ) {
    const size = Math.min(Math.max(needed, prefix.length * 2), source.size);
    const more = await source.read(prefix.length, size - prefix.length, signal);
    prefix = joined(prefix, more);
    const result = isSafetensors(prefix) ? openSafetensors(prefix, source.size) : openGguf(prefix, source.size);
    if (typeof result !== 'number') return result;
    if (result <= prefix.length || result > source.size) {
      const message = `the header needs ${result} bytes, and the file has ${source.size}`;
      throw new QuantpressError('TRUNCATED', message, { needed: result, size: source.size });
    }
    needed = result;
  }
}

function openGguf(prefix: Uint8Array, size: number): OpenedHeader | number {
  const header = call((engine) => engine.ModelHeader.parse(prefix, size)) as ModelHeader | number;
  if (typeof header === 'number') return header;
  const { version, alignment, headerBytes } = header;
  return { container: 'gguf', header, version, alignment, headerBytes };
}

function openSafetensors(prefix: Uint8Array, size: number): OpenedHeader | number {
  const header = call((engine) => new engine.SafetensorsModel());
  try {
    const { needed, dataStart } = call(() => header.add(prefix, size)) as { needed?: number; dataStart: number };
    if (needed === undefined) {
      return { container: 'safetensors', header, version: 0, alignment: 1, headerBytes: dataStart };
    }
    header.free();
    return needed;
  } catch (error) {
    header.free();
    throw error;
  }
}

/** By content: a length of 32 bits, and the opening brace of the header that has it. */
function isSafetensors(prefix: Uint8Array): boolean {
  return prefix[8] === 0x7b && prefix.subarray(4, 8).every((byte) => byte === 0);
}

/** Whether a type is one of the engine's formats. */
export function isFormat(type: SourceType): type is FormatName {
  return formats().some(({ name }) => name === type);
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(a.length + b.length);
  whole.set(a);
  whole.set(b, a.length);
  return whole;
}
