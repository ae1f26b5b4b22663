/** A model file: its metadata and tensors, and the weights of any of its rows. */

import { expectText } from './check.js';
import type { ModelHeader } from './engine.js';
import { QuantpressError } from './error.js';
import { dequantize, type FormatName } from './format.js';
import { openSource, type SourceInput } from './source-open.js';
import type { UrlOptions } from './source-url.js';
import { readExactly, type Source } from './source.js';
import { call } from './wasm.js';

/** A tensor of a model file. */
export interface TensorInfo {
  /** The name, unique in the file. */
  name: string;
  /** How its weights are stored. */
  type: FormatName;
  /** One to four dimensions; the first is the length of a row. */
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
  readonly container = 'gguf';
  /** The version of the container. */
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
  readonly header: ModelHeader;

  /** @internal */
  constructor(source: Source, header: ModelHeader) {
    this.source = source;
    this.header = header;
    this.version = header.version;
    this.alignment = header.alignment;
    this.headerBytes = header.headerBytes;
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
    const tensor = this.tensor(name);
    const rows = tensor.shape.slice(1).reduce((product, n) => product * n, 1);
    const [from, to] = options.rows ?? [0, rows];
    if (!Number.isInteger(from) || !Number.isInteger(to) || from < 0 || to < from || to > rows) {
      const message = `tensor '${name}' has rows 0 to ${rows}, and ${from} to ${to} were asked for`;
      throw new QuantpressError('RANGE', message, { tensor: name, rows, from, to });
    }
    const rowBytes = tensor.bytes / rows;
    const bytes = await readExactly(
      this.source,
      tensor.offset + from * rowBytes,
      (to - from) * rowBytes,
      options.signal,
    );
    return dequantize(bytes, tensor.type);
  }

  /** Lets go of the source and of the engine's memory. */
  async close(): Promise<void> {
    this.header.free();
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
  const source = await openSource(input, options);
  try {
    return new Model(source, await readHeader(source, options.signal));
  } catch (error) {
    // A source of the caller's own stays the caller's.
    if (source !== input) await source.close?.();
    throw error;
  }
}

/** Reads as much from the start as the engine asks for, at least doubling it each time. */
async function readHeader(source: Source, signal?: AbortSignal): Promise<ModelHeader> {
  let prefix = new Uint8Array(0);
  for (let needed = FIRST_READ; ; ) {
    const size = Math.min(Math.max(needed, prefix.length * 2), source.size);
    const more = await readExactly(source, prefix.length, size - prefix.length, signal);
    prefix = joined(prefix, more);
    const result = call((engine) => engine.ModelHeader.parse(prefix, source.size)) as ModelHeader | number;
    if (typeof result !== 'number') return result;
    if (result <= prefix.length || result > source.size) {
      const message = `the header needs ${result} bytes, and the file has ${source.size}`;
      throw new QuantpressError('TRUNCATED', message, { needed: result, size: source.size });
    }
    needed = result;
  }
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(a.length + b.length);
  whole.set(a);
  whole.set(b, a.length);
  return whole;
}
