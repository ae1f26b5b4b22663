/** A model file: its metadata and tensors, and the weights of any of its rows. */

import { expectArray, expectFloats, expectLength, expectOffset, expectText } from '../engine/check.js';
import { LazyTensors, tensorsOf, type Columns } from '../engine/columns.js';
import { release } from '../engine/dispose.js';
import type { ModelHeader } from '../engine/model-bindings.js';
import { QuantpressError } from '../engine/error.js';
import type { FileReference } from '../io/file-identity.js';
import { dequantizeInto, formats, type FormatName } from '../numerics/format.js';
import { readMetadata, type MetadataValue } from './metadata.js';
import type { FolderModel } from './folder.js';
import { openFiles, type ModelInput, type OpenedModel } from './files.js';
import { readOptions, signal, type ReaderTable } from '../engine/options.js';
import { URL_OPTIONS, type UrlOptions } from '../io/source/url-options.js';
import { readExactly, type Source } from '../io/source/source.js';
import { call } from '../engine/wasm.js';
import { callModel } from '../engine/model.js';

/** The type of stored weights: every format, and the types of safetensors files. */
export type SourceType = FormatName | 'F8_E4M3' | 'F8_E5M2' | 'BOOL' | 'U8' | 'U16' | 'U32' | 'U64';

/** A tensor of a model file. */
export interface TensorInfo {
  /** The name, unique in the file. */
  name: string;
  /** Its stored type. */
  type: SourceType;
  /**
   * The dimensions, at least one; the first is the length of a row, even if the file lists it last. Frozen, because
   * tensors share it.
   */
  shape: readonly number[];
  /** The offset of its bytes in the file. */
  offset: number;
  /** The number of its bytes. */
  bytes: number;
}

/** Options of {@link Model.readTensor} and {@link Model.readTensorInto}. */
export interface ReadTensorOptions {
  /** The rows to read: from the first number up to but not including the second. All rows by default. */
  rows?: readonly [from: number, to: number] | undefined;
  /** Stops reading. */
  signal?: AbortSignal | undefined;
}

const READ_OPTIONS: ReaderTable<ReadTensorOptions> = {
  rows: (name, value) => {
    expectArray(name, value);
    for (const row of value) expectOffset(name, row);
    return value as unknown as [number, number];
  },
  signal,
};

/** The number of bytes that are read and decoded at once. */
const PIECE = 1 << 20;

/** Allocates memory for the weights that the caller requested, or fails with a typed error. */
function makeFloats(length: number, tensor: string): Float32Array<ArrayBuffer> {
  try {
    return new Float32Array(length);
  } catch {
    const message = `the ${length} weights of tensor '${tensor}' do not fit in memory; read fewer rows`;
    throw new QuantpressError('TOO_LARGE', message, { tensor, weights: length });
  }
}

/** Neighbouring weights of a tensor, as whole blocks. */
interface Piece {
  /** The offset in the file. */
  offset: number;
  /** The number of bytes. */
  length: number;
  /** The first weight among those that are read. */
  firstWeight: number;
  weights: number;
}

/** @internal The pieces of at most `most` bytes of a tensor or of some of its rows, and the number of weights in all. */
export function piecesOf(
  { name, type, shape, offset }: TensorInfo,
  most: number,
  rows?: readonly [from: number, to: number],
): { weights: number; pieces: Iterable<Piece> } {
  const [from, to] = rows ? [rows[0], rows[1] ?? Number.NaN] : [undefined, undefined];
  const extents = Float64Array.from(shape);
  const numbers = call((engine) => engine.tensorPieces(name, type, extents, offset, from, to, most));
  return { weights: numbers[0] ?? 0, pieces: readPieces(numbers.subarray(1)) };
}

function* readPieces(numbers: Float64Array): Generator<Piece> {
  for (let at = 0; at < numbers.length; at += 4) {
    const [offset = 0, length = 0, firstWeight = 0, weights = 0] = numbers.subarray(at, at + 4);
    yield { offset, length, firstWeight, weights };
  }
}

/** An open model file, returned by {@link openModel}. */
export class Model {
  /** The container format of the file. */
  readonly container: 'gguf' | 'safetensors';
  /** The version of the container; 0 for safetensors, which has none. */
  readonly version: number;
  /** The alignment of the tensors in the file. */
  readonly alignment: number;
  /** Bytes before the first tensor. */
  readonly headerBytes: number;
  /** The metadata, in the order of the file. */
  readonly metadata: ReadonlyMap<string, MetadataValue>;
  /** Its source: the concatenated files, if there are several. */
  readonly source: Source;
  /** The other files of a safetensors model, by name: `config.json`, `tokenizer.json` and the like. */
  readonly files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
  /** @internal The files it was read from, including sidecar files. */
  readonly reads: readonly FileReference[];
  /** @internal Its header in the engine. */
  readonly header: ModelHeader | FolderModel;

  #tensors: readonly TensorInfo[] | undefined;
  #byName: ReadonlyMap<string, TensorInfo> | undefined;
  #closed = false;

  /** @internal */
  constructor(opened: OpenedModel, tensors?: readonly TensorInfo[]) {
    const { source, container, header, version, alignment, headerBytes, files, reads } = opened;
    this.source = source;
    this.files = files;
    this.reads = reads;
    this.header = header;
    this.container = container;
    this.version = version;
    this.alignment = alignment;
    this.headerBytes = headerBytes;
    this.metadata = readMetadata(() => this.#open());
    this.#tensors = tensors;
  }

  /** The tensors, in the order of the file. */
  get tensors(): readonly TensorInfo[] {
    this.#tensors ??= [...new LazyTensors(this.#open(), readerOf(this.container))];
    return this.#tensors;
  }

  /**
   * The tensor with a name.
   *
   * @throws {@link QuantpressError} `UNKNOWN_NAME`.
   */
  tensor(name: string): TensorInfo {
    expectText('name', name);
    this.#byName ??= new Map(this.tensors.map((tensor) => [tensor.name, tensor]));
    const tensor = this.#byName.get(name);
    if (tensor) return tensor;
    throw new QuantpressError('UNKNOWN_NAME', `the model has no tensor '${name}'`, { tensor: name });
  }

  /**
   * Reads weights of a tensor as f32. Only the bytes of the requested rows are read.
   *
   * @returns `shape[0]` weights for each row.
   * @throws {@link QuantpressError} `UNKNOWN_NAME`, `RANGE` for rows it does not have, and errors of reading.
   */
  async readTensor(name: string, options: ReadTensorOptions = {}): Promise<Float32Array<ArrayBuffer>> {
    const given = readOptions('readTensor', READ_OPTIONS, options);
    const tensor = this.tensor(name);
    const { weights, pieces } = piecesOf(tensor, PIECE, given.rows);
    const out = makeFloats(weights, name);
    await this.#readPieces(tensor, pieces, out, given.signal);
    return out;
  }

  /**
   * {@link readTensor} into the caller's memory: `shape[0]` weights for each row.
   *
   * @throws {@link QuantpressError} as {@link readTensor}, and `LENGTH` if `out` has another length. After an error of reading
   * a part of `out` may be written.
   */
  async readTensorInto(name: string, out: Float32Array, options: ReadTensorOptions = {}): Promise<void> {
    const given = readOptions('readTensorInto', READ_OPTIONS, options);
    expectFloats('out', out);
    const tensor = this.tensor(name);
    const { weights, pieces } = piecesOf(tensor, PIECE, given.rows);
    expectLength('out', out.length, weights);
    await this.#readPieces(tensor, pieces, out, given.signal);
  }

  async #readPieces(
    { type }: TensorInfo,
    pieces: Iterable<Piece>,
    out: Float32Array,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    for (const { offset, length, firstWeight, weights } of pieces) {
      const bytes = await readExactly(this.source, offset, length, signal);
      const part = out.subarray(firstWeight, firstWeight + weights);
      if (isFormat(type)) dequantizeInto(bytes, type, part);
      else part.set(call((engine) => engine.decodeToF32(bytes, type)));
    }
  }

  /** Closes the source and frees the engine's memory: large metadata values can no longer be read. */
  async close(): Promise<void> {
    this.#closed = true;
    release(this.header, callModel);
    await this.source.close?.();
  }

  #open(): ModelHeader | FolderModel {
    if (!this.#closed) return this.header;
    throw new QuantpressError('ARGUMENT', 'the model is closed; read large metadata values before that', {});
  }

  /** {@link close}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/**
 * Opens a model and reads its header, not its tensors.
 *
 * One file is bytes, a `Blob` or `File`, a `FileSystemFileHandle`, a URL, a path or `FileHandle` (Node), or any {@link Source}. A model in several
 * files is an array of these or a `FileList`, in any order: the shards of a split GGUF; safetensors files, with or without
 * their index, and with the files next to them (`config.json`, `tokenizer.json`). If the files can be found by name,
 * one is enough: the path or URL of the first shard (`model-00001-of-00003.gguf`) or of `model.safetensors.index.json`.
 * A folder's path (Node) or `FileSystemDirectoryHandle` opens all the files in it.
 *
 * @throws {@link QuantpressError} `MAGIC` if it is not a model file, `TRUNCATED`, `MALFORMED`, `TOO_LARGE`,
 * `UNSUPPORTED`, or an error of reading (`NOT_FOUND`, `DENIED`, `IO`); `ARGUMENT` if the files are not those of one
 * model: a shard is missing, occurs twice, or belongs to another model.
 * @example
 * ```ts
 * const model = await openModel('model-f16.gguf');
 * console.log(model.metadata.get('general.name'), model.tensors.length);
 * ```
 */
export async function openModel(input: ModelInput, options: UrlOptions = {}): Promise<Model> {
  const opened = await openFiles(input, readOptions('openModel', URL_OPTIONS, options));
  const { header, source } = opened;
  try {
    return new Model(opened, await tensorsOf(header, readerOf(opened.container)));
  } catch (error) {
    // Nothing owns what was opened.
    release(header, callModel);
    if (source !== input) await source.close?.();
    throw error;
  }
}

/** @internal {@link openModel} for work that may not need the list of tensors, which is created on access. */
export async function openUnlisted(input: ModelInput, options: UrlOptions = {}): Promise<Model> {
  return new Model(await openFiles(input, readOptions('openModel', URL_OPTIONS, options)));
}

function readerOf(container: Model['container']): (columns: Columns) => TensorInfo {
  return container === 'safetensors' ? folderTensor : tensorOf;
}

function tensorOf(columns: Columns): TensorInfo {
  const [name, type] = [columns.text(), columns.text() as SourceType];
  return { name, type, shape: columns.list(), offset: columns.number(), bytes: columns.number() };
}

/** A tensor of a safetensors model, with its number of dimensions: a scalar has none. */
function folderTensor(columns: Columns): TensorInfo & { dims: number } {
  const { name, type, shape, offset, bytes } = tensorOf(columns);
  // Not spread: that makes an object twice the size.
  return { name, type, shape, offset, bytes, dims: columns.number() };
}

/** The names of all formats: one is looked up for every piece of every tensor. */
let known: ReadonlySet<string> | undefined;

/** Whether a type is one of the engine's formats: others exist only in safetensors files. */
function isFormat(type: SourceType): type is FormatName {
  known ??= new Set(formats().map(({ name }) => name));
  return known.has(type);
}
