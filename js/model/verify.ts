/** Reads a model file again, and says whether it is what it should be. */

import { expectInstance, expectObject, wrongType } from '../engine/check.js';
import { QuantpressError } from '../engine/error.js';
import { validate } from '../numerics/format.js';
import { sha256, xxh64, type Hasher } from '../engine/hash.js';
import type { ExpectedHashes, Manifest, ManifestTensor } from './manifest.js';
import { formatOf, isFormat, Model, type TensorInfo } from './model.js';
import { callback, readOptions, signal as signalReader, type Reader, type ReaderTable } from '../engine/options.js';
import { breathe } from '../engine/platform.js';
import { readExactly } from '../io/source/source.js';
import { call } from '../engine/wasm.js';

/** Options of {@link verifyModel}. */
export interface VerifyOptions {
  /** Hashes that it must have: {@link parseManifest} reads them. */
  manifest?: ExpectedHashes | undefined;
  /** Stops the work. */
  signal?: AbortSignal | undefined;
  /** Called now and then. */
  onProgress?: ((progress: { bytesDone: number; bytesTotal: number; tensor: string }) => void) | undefined;
}

const expectedHashes: Reader<ExpectedHashes> = (name, value) => {
  expectObject(name, value);
  if (!('tensors' in value) || typeof (value.tensors as ExpectedHashes['tensors'])?.get !== 'function') {
    throw wrongType(name, 'what parseManifest() returns', value);
  }
  return value as ExpectedHashes;
};

const OPTIONS: ReaderTable<VerifyOptions> = { manifest: expectedHashes, signal: signalReader, onProgress: callback };

/** Something that is not as it should be. */
export interface Problem {
  /** The tensor it is about; nothing if it is about the file. */
  tensor?: string;
  message: string;
}

/** What {@link verifyModel} has found. */
export interface Verification {
  /** The hashes of the file as it is. */
  manifest: Manifest;
  /** What is wrong; empty if nothing is. */
  problems: Problem[];
  /** Whether there were hashes to compare with: without, only the file's structure and its blocks are checked. */
  compared: boolean;
}

/** Read at once, cut to whole blocks. */
const PIECE = 1 << 20;

/**
 * Reads a whole model once: every block of every tensor as `llama-quantize` and `llama-cli --check-tensors` check it, names
 * and dimensions that the programs which run the model cannot read, and the hashes of the file and of each tensor, which are compared with those of a manifest. The header was checked when the
 * model was opened. Memory is that of one piece.
 *
 * @returns What is wrong: a file that is damaged is a finding, not an error.
 * @throws {@link QuantpressError} what reading throws.
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
  const hashed = new Map<string, ManifestTensor>();
  const problems = unreadable(model);
  let at = 0;
  const read = async (end: number, tensor: string, use?: (bytes: Uint8Array) => void, step = PIECE) => {
    while (at < end) {
      signal?.throwIfAborted();
      const bytes = await readExactly(source, at, Math.min(step, end - at), signal);
      whole.update(bytes);
      use?.(bytes);
      at += bytes.length;
      onProgress?.({ bytesDone: at, bytesTotal: source.size, tensor });
      await breathe();
    }
  };
  // In the order of the file, which is not always the order of its table.
  for (const tensor of [...model.tensors].sort((a, b) => a.offset - b.offset)) {
    await read(tensor.offset, tensor.name);
    const check = new TensorCheck(tensor);
    await read(tensor.offset + tensor.bytes, tensor.name, (bytes) => check.add(bytes), check.step);
    hashed.set(tensor.name, check.result());
    if (check.problem !== undefined) problems.push({ tensor: tensor.name, message: check.problem });
  }
  await read(source.size, '');
  await source.check?.();
  const tensors = model.tensors.map(({ name }) => hashed.get(name)).filter((tensor) => tensor !== undefined);
  const manifest = { file: baseName(source.name), size: source.size, sha256: whole.hex(), tensors };
  if (expected) for (const problem of differences(manifest, expected)) problems.push(problem);
  return { manifest, problems, compared: expected !== undefined };
}

/** @internal The tensors of a model that the programs which run its architecture cannot read. */
export function unreadable({ header }: Model): Problem[] {
  return 'unreadable' in header ? (call(() => header.unreadable()) as Problem[]) : [];
}

/** One tensor, piece by piece. */
class TensorCheck {
  /** Bytes of a piece: whole blocks, however long a row is. */
  readonly step: number;
  problem: string | undefined;
  readonly #tensor: TensorInfo;
  readonly #sha256: Hasher = sha256();
  readonly #xxh64: Hasher = xxh64();
  #weights = 0;
  readonly #rate: number;

  constructor(tensor: TensorInfo) {
    this.#tensor = tensor;
    const weights = tensor.shape.reduce((product, n) => product * n, 1);
    this.#rate = weights / tensor.bytes;
    const block = formatOf(tensor.type)?.bytes ?? 1;
    this.step = Math.floor(PIECE / block) * block;
  }

  add(bytes: Uint8Array): void {
    this.#sha256.update(bytes);
    this.#xxh64.update(bytes);
    try {
      const { type } = this.#tensor;
      if (this.problem === undefined && isFormat(type)) validate(bytes, type);
    } catch (error) {
      if (!(error instanceof QuantpressError)) throw error;
      const { index } = error.details;
      const place = typeof index === 'number' ? ` (weight ${this.#weights + index})` : '';
      this.problem = `${error.message}${place}`;
    }
    this.#weights += bytes.length * this.#rate;
  }

  result(): ManifestTensor {
    const { name, type, bytes } = this.#tensor;
    return { name, type, bytes, sha256: this.#sha256.hex(), xxh64: this.#xxh64.hex() };
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
    const message = `its ${kind} is ${tensor[kind]}, and the manifest says ${wanted?.[kind]}`;
    problems.push({ tensor: tensor.name, message });
  }
  for (const name of left.keys())
    problems.push({ tensor: name, message: 'the manifest has it, and the file does not' });
  if (expected.size !== undefined && expected.size !== size) {
    problems.push({ message: `the file has ${size} bytes, and the manifest says ${expected.size}` });
  }
  if (expected.sha256 !== undefined && expected.sha256 !== sha256) {
    problems.push({ message: `the file's sha256 is ${sha256}, and the manifest says ${expected.sha256}` });
  }
  return problems;
}

function baseName(name = ''): string {
  return name.replace(/[?#].*$/, '').replace(/^.*[/\\]/, '');
}
