/** Compares two model files: metadata, tensors, and the differences of their weights. */

import { expectInstance } from '../engine/check.js';
import { QuantpressError } from '../engine/error.js';
import { errorFigures, type ErrorFigures, type DistortionSums } from '../numerics/distortion.js';
import type { MetadataValue } from './metadata.js';
import { Model, type SourceType, type TensorInfo } from './model.js';
import { weightsIn } from './shape.js';
import { inLanes, nextOf } from '../pool/concurrent.js';
import { callback, readOptions, signal as signalReader, type ReaderTable } from '../engine/options.js';
import { createRunner, RUNNER_OPTIONS, type Runner, type RunnerOptions } from '../pool/pool.js';
import { ReadAhead } from '../io/source/read-ahead.js';
import { readExactly } from '../io/source/source.js';
import { call, compiledModule } from '../engine/wasm.js';
import { callModel } from '../engine/model.js';

/** The argument of `onProgress` of {@link diffModels}. */
export interface DiffProgress {
  /** The tensor of the last step. */
  tensor: string;
  /** Completed steps. */
  done: number;
  /** All steps. */
  total: number;
}

/** Options of {@link diffModels}. */
export interface DiffOptions extends RunnerOptions {
  /** Stops the work at once. */
  signal?: AbortSignal | undefined;
  /** Called after every step. */
  onProgress?: ((progress: DiffProgress) => void) | undefined;
}

const OPTIONS: ReaderTable<DiffOptions> = { ...RUNNER_OPTIONS, signal: signalReader, onProgress: callback };

/** The result of {@link diffModels}. */
export interface ModelDiff {
  /**
   * Whether nothing differs: metadata, tensors, types, shapes and weights. The order and the offsets of tensors do not
   * matter.
   */
  equal: boolean;
  /** The tensors of both, in the order of the first file, then those only in the second. */
  tensors: TensorDiff[];
  /**
   * The weight error of the second file against the first, see `weightError`: over the tensors whose weights are in both.
   * Missing if there are none.
   */
  weightError?: number;
  /** Metadata that differs. It is compared only between files of the same container format. */
  metadata: MetadataDiff[];
}

/** One tensor in two files. */
export interface TensorDiff {
  name: string;
  /**
   * `same`: the type and every bit of the weights are equal. `missing`: only in one of them. `shape`: the shapes
   * differ.
   */
  status: 'same' | 'type' | 'weights' | 'shape' | 'missing';
  /** Its type and shape in each file that has it. */
  types: [a: SourceType | undefined, b: SourceType | undefined];
  shapes: [a: readonly number[] | undefined, b: readonly number[] | undefined];
  /**
   * The error of the second relative to the first; absent for tensors that are missing, of another shape, or of types
   * without weights.
   */
  error?: ErrorFigures;
}

/** A metadata value that differs; `undefined` if a file does not have it. */
export interface MetadataDiff {
  key: string;
  values: [a: MetadataValue | undefined, b: MetadataValue | undefined];
}

/** Tensors up to this many bytes are read together with their neighbours. */
const SMALL = 1 << 14;

/**
 * Compares two models, of any types and containers, tensor by tensor by name: to see the cost of quantizing, or whether
 * two tools or versions wrote the same.
 *
 * @throws {@link QuantpressError} `NON_FINITE` or `INVALID_BLOCK` with the tensor for weights that differ and are NaN
 * or infinite, and errors of reading.
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
  const { partners, alone } = matched(a.tensors, b.tensors);
  const tensors: TensorDiff[] = new Array(a.tensors.length + alone.length);
  const shared: Shared = { types: sharedTypes(), shapes: sharedShapes(), unchanged: errorFigures([], false) };
  const pairAt = (index: number) => {
    const [mine, partner] = [a.tensors[index], partners[index] ?? NONE];
    return new Pair(mine, b.tensors[mine ? partner : (alone[index - a.tensors.length] ?? NONE)], shared);
  };
  let [done, total] = [0, 0];
  for (let index = 0; index < tensors.length; index++) total += pairAt(index).tiles;
  // A pair is created when it is compared, and only its result is kept.
  function* steps() {
    for (let place = 0; place < tensors.length; place++) {
      const pair = pairAt(place);
      if (pair.tiles === 0) tensors[place] = pair.result();
      for (let index = 0; index < pair.tiles; index++) yield { place, pair, index };
    }
  }
  const runner = createRunner(a.source, compiledModule(), runnerOptions);
  const sides = [new ReadAhead(a.source), new ReadAhead(b.source)] as const;
  await inLanes(runner, nextOf(steps()), signal, async ({ place, pair, index }, signal) => {
    await pair.compare(index, runner, sides, b, signal);
    if (pair.isComplete) tensors[place] = pair.result();
    done += 1;
    onProgress?.({ tensor: pair.name, done, total });
  });
  await Promise.all([a.source.check?.(), b.source.check?.()]);
  const metadata = a.container === b.container ? metadataDiff(a, b) : [];
  const errors = new Float64Array(2 * tensors.length);
  let at = 0;
  for (const [index, { error }] of tensors.entries()) {
    if (!error) continue;
    errors[at++] = weightsOf(a.tensors[index]);
    errors[at++] = error.relativeRmse;
  }
  const error = at > 0 ? call((engine) => engine.weightError(errors.subarray(0, at))) : undefined;
  return {
    equal: metadata.length === 0 && tensors.every(({ status }) => status === 'same'),
    tensors,
    ...(error !== undefined && { weightError: error }),
    metadata,
  };
}

/** For each tensor of `a` the index of the tensor with its name in `b`, and the indices of those only in `b`. */
function matched(a: readonly TensorInfo[], b: readonly TensorInfo[]): { partners: Int32Array; alone: number[] } {
  const partners = new Int32Array(a.length).fill(NONE);
  const taken = new Uint8Array(b.length);
  let places: Map<string, number> | undefined;
  for (let index = 0; index < a.length; index++) {
    const name = a[index]?.name ?? '';
    let place = index;
    // Most files list the same tensors in the same order.
    if (b[index]?.name !== name) {
      places ??= new Map(b.map((tensor, at) => [tensor.name, at]));
      place = places.get(name) ?? NONE;
    }
    if (place === NONE) continue;
    partners[index] = place;
    taken[place] = 1;
  }
  return { partners, alone: Array.from(taken.keys()).filter((place) => taken[place] === 0) };
}

const NONE = -1;

type Types = TensorDiff['types'];

/** Creates pairs of types; tensors with equal pairs share one. */
function sharedTypes(): (a: SourceType | undefined, b: SourceType | undefined) => Types {
  const known = new Map<string, Types>();
  return (a, b) => {
    const key = `${a} ${b}`;
    const types = known.get(key) ?? [a, b];
    known.set(key, types);
    return types;
  };
}

type Shapes = TensorDiff['shapes'];

/** Creates pairs of shapes. Tensors whose shapes are the same arrays share one pair. */
function sharedShapes(): (a: readonly number[] | undefined, b: readonly number[] | undefined) => Shapes {
  const known = new Map<readonly number[] | undefined, Shapes>();
  return (a, b) => {
    let shapes = known.get(a);
    if (shapes && shapes[1] === b) return shapes;
    shapes = [a, b];
    // Models whose shapes are all different have nothing to share.
    if (known.size === MOST_SHAPES) known.clear();
    known.set(a, shapes);
    return shapes;
  };
}

const MOST_SHAPES = 64;

/** Objects that the results of many tensors share. */
interface Shared {
  types: ReturnType<typeof sharedTypes>;
  shapes: ReturnType<typeof sharedShapes>;
  unchanged: ErrorFigures;
}

function weightsOf(tensor: TensorInfo | undefined): number {
  return tensor ? weightsIn(tensor.shape) : 0;
}

/** A tensor of both files, or of one. */
class Pair {
  readonly name: string;
  /** The number of its steps. */
  readonly tiles: number;
  readonly #a: TensorInfo | undefined;
  readonly #b: TensorInfo | undefined;
  readonly #shared: Shared;
  readonly #isSameShape: boolean;
  readonly #sums: DistortionSums[] = [];
  #left: number;

  constructor(a: TensorInfo | undefined, b: TensorInfo | undefined, shared: Shared) {
    this.name = (a ?? b)?.name ?? '';
    this.#a = a;
    this.#b = b;
    this.#shared = shared;
    const steps = a && b && stepsOf(a, b);
    this.#isSameShape = steps !== undefined;
    this.tiles = steps ?? 0;
    this.#left = this.tiles;
  }

  /** Whether all its steps are done. */
  get isComplete(): boolean {
    return this.#left === 0;
  }

  async compare(
    index: number,
    runner: Runner,
    [mine, others]: readonly [ReadAhead, ReadAhead],
    other: Model,
    signal: AbortSignal,
  ): Promise<void> {
    const [a, b] = [this.#a, this.#b];
    if (!a || !b) return;
    const [offset, length] = pieceOf(a, index);
    const theirs = pieceOf(b, index);
    // Many tiny tensors share a read, so a worker gets a copy without the surrounding bytes.
    const small = Math.max(length, theirs[1]) <= SMALL;
    const input = small ? (await mine.read(offset, length, signal)).slice() : { offset, length };
    const bytes = await (small ? others.read(...theirs, signal) : readExactly(other.source, ...theirs, signal));
    const types = { from: a.type, otherType: b.type };
    const task = { kind: 'compare', input, other: small ? bytes.slice() : bytes, ...types } as const;
    this.#sums[index] = await runner.run(task, signal).catch((error: unknown) => {
      if (!(error instanceof QuantpressError)) throw error;
      const details = { ...error.details, tensor: this.name };
      throw new QuantpressError(error.code, `tensor '${this.name}': ${error.message}`, details);
    });
    this.#left -= 1;
  }

  result(): TensorDiff {
    const [a, b] = [this.#a, this.#b];
    if (!a || !b) return this.#described('missing');
    if (!this.#isSameShape) return this.#described('shape');
    if (this.#sums.some((tile) => tile.length === 1)) return this.#described('weights');
    const error = this.#sums.some((tile) => tile.length > 0) ? errorFigures(this.#sums, false) : this.#shared.unchanged;
    if (error.rmse !== 0) return this.#described('weights', error);
    return this.#described(a.type === b.type ? 'same' : 'type', this.#shared.unchanged);
  }

  #described(status: TensorDiff['status'], error?: ErrorFigures): TensorDiff {
    const { name } = this;
    const types = this.#shared.types(this.#a?.type, this.#b?.type);
    const shapes = this.#shared.shapes(this.#a?.shape, this.#b?.shape);
    // Not spread: that would double the size of the object.
    return error ? { name, status, types, shapes, error } : { name, status, types, shapes };
  }
}

/** The number of steps in which two tensors are compared; `undefined` if their shapes differ. */
function stepsOf(a: TensorInfo, b: TensorInfo): number | undefined {
  const [mine, theirs] = [Float64Array.from(a.shape), Float64Array.from(b.shape)];
  return call((engine) => engine.comparisonSteps(a.type, mine, b.type, theirs));
}

/** The bytes of a step. */
function pieceOf({ type, shape, offset }: TensorInfo, step: number): [offset: number, length: number] {
  const piece = call((engine) => engine.comparedPiece(type, Float64Array.from(shape), offset, step));
  return [piece[0] ?? 0, piece[1] ?? 0];
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

/** Whether a value is bit-identical in both. */
function isSameMetadata(a: Model, i: number, b: Model, j: number, key: string): boolean {
  const [x, y] = [a.header, b.header];
  if ('sameMetadata' in x && 'sameMetadata' in y) return callModel(() => x.sameMetadata(i, y, j));
  return a.metadata.get(key)?.value === b.metadata.get(key)?.value;
}
