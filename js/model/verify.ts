/** Reads a model file again and checks it. */

import { expectInstance, expectObject, wrongType } from '../engine/check.js';
import { hashesOf, sha256, xxh64, type Hasher } from '../engine/hash.js';
import type { ExpectedHashes, Manifest, ManifestTensor } from './manifest.js';
import { Model, piecesOf, type TensorInfo } from './model.js';
import { callback, readOptions, signal as signalReader, type Reader, type ReaderTable } from '../engine/options.js';
import { breathe } from '../engine/platform.js';
import { ReadAhead } from '../io/source/read-ahead.js';
import { callModel } from '../engine/model.js';
import { call } from '../engine/wasm.js';

/** The argument of `onProgress` of {@link verifyModel}. */
export interface VerifyProgress {
  /** Bytes of the model that have been read. */
  bytesDone: number;
  /** All bytes of the model. */
  bytesTotal: number;
  /** The tensor that was read last. */
  tensor: string;
}

/** Options of {@link verifyModel}. */
export interface VerifyOptions {
  /** The expected hashes: {@link parseManifest} reads them. */
  manifest?: ExpectedHashes | undefined;
  /** Stops the work. */
  signal?: AbortSignal | undefined;
  /** Called from time to time. */
  onProgress?: ((progress: VerifyProgress) => void) | undefined;
}

const expectedHashes: Reader<ExpectedHashes> = (name, value) => {
  expectObject(name, value);
  if (!('tensors' in value) || typeof (value.tensors as ExpectedHashes['tensors'])?.get !== 'function') {
    throw wrongType(name, 'what parseManifest() returns', value);
  }
  return value as ExpectedHashes;
};

const OPTIONS: ReaderTable<VerifyOptions> = { manifest: expectedHashes, signal: signalReader, onProgress: callback };

/** A problem. */
export interface Problem {
  /** The tensor it is about; absent if it is about the file. */
  tensor?: string;
  message: string;
}

/** The result of {@link verifyModel}. */
export interface Verification {
  /** The actual hashes of the file. */
  manifest: Manifest;
  /** The problems; empty if there are none. */
  problems: Problem[];
  /** Whether there were hashes to compare with; otherwise only the file's structure and its blocks are checked. */
  compared: boolean;
}

/** The number of bytes read at once; of a tensor whole blocks, whatever the length of a row. */
const PIECE = 1 << 20;

/** The number of bytes between two pauses: a thousand tiny tensors. */
const PAUSE = 1 << 18;

/** The number of bytes that are hashed in one call. */
const SMALL = 1 << 12;

/**
 * Reads a whole model once: every block of every tensor as `llama-quantize` and `llama-cli --check-tensors` check it,
 * names and dimensions that the programs which run the model cannot read, and the hashes of the file and of each
 * tensor, which are compared with those of a manifest. The header was checked when the model was opened. Memory use is
 * that of one piece.
 *
 * @returns The problems: a damaged file is a result, not an error.
 * @throws {@link QuantpressError} errors of reading.
 * @example
 * ```ts
 * const { problems, manifest } = await verifyModel(await openModel('model-Q4_K_M.gguf'));
 * console.log(problems.length === 0, manifest.sha256);
 * ```
 */
export async function verifyModel(model: Model, options: VerifyOptions = {}): Promise<Verification> {
  expectInstance('model', Model, model);
  const { manifest: expected, signal, onProgress } = readOptions('verifyModel', OPTIONS, options);
  const { source } = model;
  const whole = sha256();
  const problems = unreadable(model);
  const ahead = new ReadAhead(source);
  let [at, rested] = [0, 0];
  const read = async (end: number, tensor: string, use?: (bytes: Uint8Array) => void) => {
    while (at < end) {
      signal?.throwIfAborted();
      const bytes = await ahead.read(at, Math.min(PIECE, end - at), signal);
      whole.update(bytes);
      use?.(bytes);
      at += bytes.length;
      onProgress?.({ bytesDone: at, bytesTotal: source.size, tensor });
      if (at - rested < PAUSE) continue;
      rested = at;
      await breathe();
    }
  };
  // In the order of the data, which may differ from the order of the header.
  const order = Uint32Array.from(model.tensors, (_, index) => index);
  order.sort((a, b) => (model.tensors[a]?.offset ?? 0) - (model.tensors[b]?.offset ?? 0));
  const tensors: ManifestTensor[] = new Array(order.length);
  for (const index of order) {
    const tensor = model.tensors[index] as TensorInfo;
    await read(tensor.offset, tensor.name);
    const check = new TensorCheck(tensor);
    for (const { offset, length, firstWeight } of piecesOf(tensor, PIECE).pieces) {
      await read(offset + length, tensor.name, (bytes) => check.add(bytes, firstWeight));
    }
    tensors[index] = check.result();
    if (check.problem !== undefined) problems.push({ tensor: tensor.name, message: check.problem });
  }
  await read(source.size, '');
  await source.check?.();
  const manifest = { file: baseName(source.name), size: source.size, sha256: whole.hex(), tensors };
  if (expected) for (const problem of differences(manifest, expected)) problems.push(problem);
  return { manifest, problems, compared: expected !== undefined };
}

/** @internal The tensors of a model that the programs which run its architecture cannot read. */
export function unreadable({ header }: Model): Problem[] {
  return 'unreadable' in header ? (callModel(() => header.unreadable()) as Problem[]) : [];
}

/** One tensor, piece by piece. */
class TensorCheck {
  problem: string | undefined;
  readonly #tensor: TensorInfo;
  /** For a tensor that has several pieces or is large. */
  #hashers: [sha256: Hasher, xxh64: Hasher] | undefined;
  #hashes: [sha256: string, xxh64: string] | undefined;

  constructor(tensor: TensorInfo) {
    this.#tensor = tensor;
  }

  add(bytes: Uint8Array, firstWeight: number): void {
    if (bytes.length === this.#tensor.bytes && bytes.length <= SMALL) {
      this.#hashes = hashesOf(bytes);
    } else {
      this.#hashers ??= [sha256(), xxh64()];
      for (const hasher of this.#hashers) hasher.update(bytes);
    }
    this.problem ??= call((engine) => engine.problemOf(bytes, this.#tensor.type, firstWeight));
  }

  result(): ManifestTensor {
    const { name, type, bytes } = this.#tensor;
    const hashers = this.#hashers?.map((hasher) => hasher.hex());
    const [sha256 = '', xxh64 = ''] = hashers ?? this.#hashes ?? hashesOf(new Uint8Array(0));
    return { name, type, bytes, sha256, xxh64 };
  }
}

function differences({ size, sha256, tensors }: Manifest, expected: ExpectedHashes): Problem[] {
  const problems: Problem[] = [];
  const left = new Map(expected.tensors);
  for (const tensor of tensors) {
    const wanted = left.get(tensor.name);
    left.delete(tensor.name);
    const kind = (['sha256', 'xxh64'] as const).find((kind) => wanted?.[kind] && wanted[kind] !== tensor[kind]);
    if (!kind) continue;
    const message = `its ${kind} is ${tensor[kind]}, but the manifest has ${wanted?.[kind]}`;
    problems.push({ tensor: tensor.name, message });
  }
  for (const name of left.keys())
    problems.push({ tensor: name, message: 'it is in the manifest, but not in the file' });
  if (expected.size !== undefined && expected.size !== size) {
    problems.push({ message: `the file has ${size} bytes, but the manifest has ${expected.size}` });
  }
  if (expected.sha256 !== undefined && expected.sha256 !== sha256) {
    problems.push({ message: `the file's sha256 is ${sha256}, but the manifest has ${expected.sha256}` });
  }
  return problems;
}

function baseName(name = ''): string {
  return name.replace(/[?#].*$/, '').replace(/^.*[/\\]/, '');
}
