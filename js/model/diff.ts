/** How two model files differ: metadata, tensors, and how far the weights of each are apart. */

import { expectInstance } from '../engine/check.js';
import { QuantpressError } from '../engine/error.js';
import {
  addErrors,
  errorFigures,
  noErrors,
  unchanged,
  weightError,
  type ErrorFigures,
  type ErrorSums,
} from '../numerics/distortion.js';
import type { MetadataValue } from './metadata.js';
import { Model, type SourceType, type TensorInfo } from './model.js';
import { inLanes } from '../pool/concurrent.js';
import { callback, readOptions, signal as signalReader, type ReaderTable } from '../engine/options.js';
import { createRunner, RUNNER_OPTIONS, type Runner, type RunnerOptions } from '../pool/pool.js';
import { readExactly } from '../io/source/source.js';
import { call, compiledModule } from '../engine/wasm.js';

/** Options of {@link diffModels}. */
export interface DiffOptions extends RunnerOptions {
  /** Stops the work at once. */
  signal?: AbortSignal | undefined;
  /** Called after every step. */
  onProgress?: ((progress: { tensor: string; done: number; total: number }) => void) | undefined;
}

const OPTIONS: ReaderTable<DiffOptions> = { ...RUNNER_OPTIONS, signal: signalReader, onProgress: callback };

/** What {@link diffModels} has found. */
export interface ModelDiff {
  /** Whether nothing differs: metadata, tensors, types, shapes and weights. The order and the place of tensors are no difference. */
  equal: boolean;
  /** The tensors of both, in the order of the first file, then those of the second alone. */
  tensors: TensorDiff[];
  /**
   * The weight error of the second file against the first, see `weightError`: over the tensors whose weights are in both.
   * Missing if there are none.
   */
  weightError?: number;
  /** Metadata that is not the same. Only files of the same container are compared in it. */
  metadata: MetadataDiff[];
}

/** One tensor in two files. */
export interface TensorDiff {
  name: string;
  /** `same`: to the last bit of every weight, and in the same type. `missing` from one of them, or of another `shape`. */
  status: 'same' | 'type' | 'weights' | 'shape' | 'missing';
  /** Types and shapes, in each file that has it. */
  types: [a: SourceType | undefined, b: SourceType | undefined];
  shapes: [a: number[] | undefined, b: number[] | undefined];
  /** How far the second is from the first; not for what is missing, of another shape, or of types without weights. */
  error?: ErrorFigures;
}

/** A metadata value that is not the same; `undefined` where a file does not have it. */
export interface MetadataDiff {
  key: string;
  values: [a: MetadataValue | undefined, b: MetadataValue | undefined];
}

/** Weights compared at once, 4 MiB of F32; whole blocks of every format, and a row is whole blocks. */
const TILE = 1 << 20;

/**
 * Compares two models, of any types and containers, tensor by tensor as their names match: what quantizing cost, whether two
 * tools wrote the same, what a new version changed.
 *
 * @throws {@link QuantpressError} `NON_FINITE` or `INVALID_BLOCK` with the tensor for weights that differ and are NaN or infinite, and
 * what reading throws.
 * @example
 * ```ts
 * const { tensors } = await diffModels(await openModel('f16.gguf'), await openModel('q4.gguf'));
 * for (const { name, error } of tensors) console.log(name, error?.sqnrDb);
 * ```
 */
export async function diffModels(a: Model, b: Model, options: DiffOptions = {}): Promise<ModelDiff> {
  expectInstance('a', Model, a);
  expectInstance('b', Model, b);
  const { signal, onProgress, ...runnerOptions } = readOptions('diffModels', OPTIONS, options);
  signal?.throwIfAborted();
  const others = new Map(b.tensors.map((tensor) => [tensor.name, tensor]));
  const pairs = a.tensors.map((tensor) => new Pair(tensor, others.get(tensor.name)));
  const names = new Set(a.tensors.map(({ name }) => name));
  for (const tensor of b.tensors) if (!names.has(tensor.name)) pairs.push(new Pair(undefined, tensor));
  const total = pairs.reduce((sum, pair) => sum + pair.tiles, 0);
  let done = 0;
  function* steps() {
    for (const pair of pairs) for (let index = 0; index < pair.tiles; index++) yield { pair, index };
  }
  const runner = createRunner(a.source, compiledModule(), runnerOptions);
  await inLanes(runner, steps(), signal, async ({ pair, index }, signal) => {
    await pair.compare(index, runner, b, signal);
    done += 1;
    onProgress?.({ tensor: pair.name, done, total });
  });
  await Promise.all([a.source.check?.(), b.source.check?.()]);
  const tensors = pairs.map((pair) => pair.result());
  const metadata = a.container === b.container ? metadataDiff(a, b) : [];
  const compared = pairs.flatMap(({ weights }, index) => {
    const error = tensors[index]?.error;
    return error ? [{ weights, relativeRmse: error.relativeRmse }] : [];
  });
  const error = compared.length > 0 ? weightError(compared) : undefined;
  return {
    equal: metadata.length === 0 && tensors.every(({ status }) => status === 'same'),
    tensors,
    ...(error !== undefined && { weightError: error }),
    metadata,
  };
}

/** A tensor of both files, or of one. */
class Pair {
  readonly name: string;
  /** Steps it takes. */
  readonly tiles: number;
  readonly #a: TensorInfo | undefined;
  readonly #b: TensorInfo | undefined;
  readonly weights: number;
  readonly #sums: (ErrorSums | 'same' | 'differs')[] = [];

  constructor(a: TensorInfo | undefined, b: TensorInfo | undefined) {
    this.name = (a ?? b)?.name ?? '';
    this.#a = a;
    this.#b = b;
    this.weights = a?.shape.reduce((product, n) => product * n, 1) ?? 0;
    this.tiles = a && b && isSameShape(a, b) ? Math.ceil(this.weights / TILE) : 0;
  }

  async compare(index: number, runner: Runner, other: Model, signal: AbortSignal): Promise<void> {
    const [a, b] = [this.#a, this.#b];
    if (!a || !b) return;
    const bytes = await readExactly(other.source, ...this.#range(b, index), signal);
    const [offset, length] = this.#range(a, index);
    const task = { kind: 'compare', input: { offset, length }, from: a.type, other: bytes, otherType: b.type } as const;
    this.#sums[index] = await runner.run(task, signal).catch((error: unknown) => {
      if (!(error instanceof QuantpressError)) throw error;
      const details = { ...error.details, tensor: this.name };
      throw new QuantpressError(error.code, `tensor '${this.name}': ${error.message}`, details);
    });
  }

  result(): TensorDiff {
    const [a, b] = [this.#a, this.#b];
    const { name } = this;
    const described = { name, types: [a?.type, b?.type], shapes: [a?.shape, b?.shape] } satisfies Partial<TensorDiff>;
    if (!a || !b) return { status: 'missing', ...described };
    if (!isSameShape(a, b)) return { status: 'shape', ...described };
    const sums = noErrors();
    for (const tile of this.#sums) {
      if (tile === 'differs') return { status: 'weights', ...described };
      if (tile !== 'same') addErrors(sums, tile);
    }
    const different = sums[ERROR] !== 0;
    const status = different ? 'weights' : a.type === b.type ? 'same' : 'type';
    return { status, ...described, error: different ? errorFigures(sums, false) : unchanged(false) };
  }

  #range({ offset, bytes }: TensorInfo, index: number): [offset: number, length: number] {
    // Exact: a block of any format has a power of two of weights.
    const rate = bytes / this.weights;
    const [from, to] = [index * TILE, Math.min((index + 1) * TILE, this.weights)];
    return [offset + from * rate, (to - from) * rate];
  }
}

/** Where the sum of squared errors is in the sums. */
const ERROR = 1;

function isSameShape(a: TensorInfo, b: TensorInfo): boolean {
  // Dimensions of 1 at the end mean nothing: GGUF leaves them out.
  const trimmed = ({ shape }: TensorInfo) => shape.join(' ').replace(/( 1)+$/, '');
  return trimmed(a) === trimmed(b);
}

function metadataDiff(a: Model, b: Model): MetadataDiff[] {
  const keys = new Set([...a.metadata.keys(), ...b.metadata.keys()]);
  const [inA, inB] = [placesOf(a), placesOf(b)];
  return [...keys].flatMap((key) => {
    const [i, j] = [inA.get(key), inB.get(key)];
    if (i !== undefined && j !== undefined && isSameMetadata(a, i, b, j, key)) return [];
    const values: MetadataDiff['values'] = [a.metadata.get(key), b.metadata.get(key)];
    return [{ key, values }];
  });
}

function placesOf({ metadata }: Model): Map<string, number> {
  return new Map([...metadata.keys()].map((key, index) => [key, index]));
}

/** Whether a value is the same in both, to the last bit. */
function isSameMetadata(a: Model, i: number, b: Model, j: number, key: string): boolean {
  const [x, y] = [a.header, b.header];
  if ('sameMetadata' in x && 'sameMetadata' in y) return call(() => x.sameMetadata(i, y, j));
  return a.metadata.get(key)?.value === b.metadata.get(key)?.value;
}
