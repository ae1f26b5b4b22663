/** The error of a plan: figures of an analysis, looked up for each tensor's new type and summed. */

import { bitsPerWeight, weightError, type FormatError, type FormatName, type TensorAnalysis } from 'quantpress';
import { GROUPS, groupsOf } from '../groups.js';
import { isExact, type Outline, type Planned, type PlannedTensors } from '../state/tensors.js';
import { toDecibels } from '../text.js';
import { gridOf, type Grid } from './grid.js';
import { type Analyses, type Damage, Damages } from './tensor-damage.js';

/** The size and error of a planned model. */
export interface Total {
  readonly size: number;
  readonly bitsPerWeight: number;
  /**
   * The file's weight error, as `weightError` of the package defines it; `undefined` while no changed tensor is
   * measured.
   */
  readonly error: number | undefined;
  /** The number of tensors with a much larger error than the others. */
  readonly outstanding: number;
  /** The tensors with the largest errors, the worst first: at most {@link WORST}. */
  readonly worst: readonly Damage[];
  readonly tensors: Damages;
  /** Bytes in the output file of each part of the model, by the ids of `GROUPS`. */
  readonly parts: ReadonlyMap<string, number>;
  /** The tensors by layer and kind. */
  readonly grid: Grid;
}

/** The number of worst tensors in a {@link Total}. */
const WORST = 50;

/** A derivation pauses after this many tensors, so that the page stays responsive. */
export const PIECE = 512;

/**
 * The size and error of a plan, as far as measured; computed in pieces, for files of hundreds of thousands of tensors.
 */
export function* damageOf(
  { size, tensors }: Pick<Planned, 'size' | 'tensors'>,
  analyses: Analyses,
): Generator<undefined, Total> {
  const { names, length } = tensors;
  const groups = yield* groupsOf(names, PIECE);
  const parts = new Float64Array(GROUPS.length);
  const errors = new Float64Array(length);
  const damaged: number[] = [];
  const sums = new Sums();
  for (let index = 0; index < length; index++) {
    const { from, to, rows, rowLength, targetBytes } = tensors.treatment(index);
    const analysis = analyses.get(names.sourceAt(index));
    const error = errorIn(from, to, analysis);
    errors[index] = error ?? Number.NaN;
    if (error !== undefined && error > 0) damaged.push(index);
    sums.add(rows * rowLength, from !== to, error, analysis !== undefined);
    const group = groups[index] ?? 0;
    parts[group] = (parts[group] ?? 0) + targetBytes;
    if (index % PIECE === PIECE - 1) yield;
  }
  const error = sums.error();
  yield;
  const worst = Float64Array.from(damaged, (index) => errors[index] ?? 0).sort();
  const limit = limitOf(worst);
  yield;
  const all = new Damages(tensors, errors, analyses);
  const listed = damaged.length > WORST ? (worst.at(-WORST) ?? 0) : 0;
  const first = damaged.filter((index) => (errors[index] ?? 0) >= listed);
  first.sort((a, b) => (errors[b] ?? 0) - (errors[a] ?? 0));
  yield;
  return {
    size,
    bitsPerWeight: bitsPerWeight(size, sums.weights),
    error,
    outstanding: worst.reduce((count, error) => count + (error > limit ? 1 : 0), 0),
    worst: first.slice(0, WORST).map((index) => all.at(index)),
    tensors: all,
    parts: new Map(GROUPS.map(({ id }, group) => [id, parts[group] ?? 0])),
    grid: yield* gridOf(all, PIECE),
  };
}

/** The weight error of a tensor in its new type. */
export function errorIn(from: string, to: FormatName, analysis: TensorAnalysis | undefined): number | undefined {
  return isExact(from, to) ? 0 : figure(analysis, to)?.relativeRmse;
}

/** The figures of a tensor in a format, if it was measured and is possible. */
export function figure(analysis: TensorAnalysis | undefined, format: FormatName): FormatError | undefined {
  const found = analysis?.formats.find((candidate) => candidate.format === format);
  return found?.refusal === undefined ? found : undefined;
}

/** The formats a tensor can be stored in. */
export function possible(analysis: TensorAnalysis | undefined): FormatError[] {
  return (analysis?.formats ?? []).filter((result): result is FormatError => result.refusal === undefined);
}

/** A tensor of an outline that has figures. */
export interface MeasuredTensor {
  readonly index: number;
  readonly analysis: TensorAnalysis;
}

/** The tensors that have figures, in their order. */
export function* measuredIn({ names }: PlannedTensors, analyses: Analyses): Generator<undefined, MeasuredTensor[]> {
  const found: MeasuredTensor[] = [];
  if (analyses.size === 0) return found;
  for (let index = 0; index < names.length; index++) {
    const analysis = analyses.get(names.sourceAt(index));
    if (analysis) found.push({ index, analysis });
    if (index % PIECE === PIECE - 1) yield;
  }
  return found;
}

/** The error of an outline, from the measured tensors and the sums of all weights. */
export function* errorOf(
  { size, tensors, weights, typeOf }: Outline,
  measured: readonly MeasuredTensor[],
): Generator<undefined, { readonly error: number | undefined; readonly bitsPerWeight: number }> {
  const sums = new Sums();
  sums.add(weights.exact, weights.widened, 0, false);
  let left = weights.all - weights.exact;
  for (const [at, { index, analysis }] of measured.entries()) {
    const [{ from, rows, rowLength }, to] = [tensors.treatment(index), typeOf(index)];
    if (!isExact(from, to)) {
      sums.add(rows * rowLength, true, errorIn(from, to, analysis), true);
      left -= rows * rowLength;
    }
    if (at % PIECE === PIECE - 1) yield;
  }
  if (left > 0) sums.add(left, true, undefined, false);
  return { error: sums.error(), bitsPerWeight: bitsPerWeight(size, weights.all) };
}

/**
 * The terms of a file's weight error. Unmeasured tensors count only by their number of weights, so one sum is enough.
 */
class Sums {
  weights = 0;
  #exact = 0;
  #unknown = 0;
  #changed = false;
  /** Whether a tensor was measured and cannot have its type. */
  #impossible = false;
  readonly #damaged: { readonly weights: number; readonly relativeRmse: number }[] = [];

  add(weights: number, changed: boolean, relativeRmse: number | undefined, measured: boolean): void {
    this.weights += weights;
    if (relativeRmse === undefined) {
      this.#unknown += weights;
      this.#impossible ||= measured;
      return;
    }
    this.#changed ||= changed;
    if (relativeRmse === 0) this.#exact += weights;
    else this.#damaged.push({ weights, relativeRmse });
  }

  /**
   * The file's weight error; `undefined` while no changed tensor is measured, or if a measured one cannot have its
   * type.
   */
  error(): number | undefined {
    if (this.#impossible || !this.#changed) return undefined;
    const unknown = this.#unknown > 0 ? [{ weights: this.#unknown, relativeRmse: undefined }] : [];
    return weightError([{ weights: this.#exact, relativeRmse: 0 }, ...this.#damaged, ...unknown]);
  }
}

/** A tensor that two plans give different types. */
export interface Difference {
  readonly a: Damage | undefined;
  readonly b: Damage;
}

/** The tensors that two plans give different types: their number, and the first ones. */
export function* differencesOf(
  a: Damages,
  b: Damages,
  shown: number,
): Generator<undefined, { readonly count: number; readonly first: readonly Difference[] }> {
  const [names, others] = [b.planned.names, a.planned.names];
  let places: Map<string, number> | undefined;
  if (names !== others) {
    places = new Map();
    for (let index = 0; index < others.length; index++) {
      places.set(others.at(index), index);
      if (index % PIECE === PIECE - 1) yield;
    }
  }
  const first: Difference[] = [];
  let count = 0;
  for (let index = 0; index < names.length; index++) {
    if (index % PIECE === PIECE - 1) yield;
    const there = places ? places.get(names.at(index)) : index;
    if (there !== undefined && a.planned.treatment(there).to === b.planned.treatment(index).to) continue;
    count += 1;
    if (first.length < shown) first.push({ a: there === undefined ? undefined : a.at(there), b: b.at(index) });
  }
  return { count, first };
}

/** By how many median deviations of the logarithm, and at least by what factor, a tensor is above the median. */
const DEVIATIONS = 5;
const FACTOR = 1.2;

/**
 * The error from which a tensor stands out, of errors in ascending order. Robust: a few outliers do not hide each
 * other.
 */
function limitOf(errors: Float64Array): number {
  if (errors.length < 4) return Infinity;
  const logs = errors.map((error) => Math.log(error));
  const middle = median(logs);
  const spread = median(logs.map((log) => Math.abs(log - middle)));
  return Math.exp(middle + Math.max(DEVIATIONS * spread, Math.log(FACTOR)));
}

function median(values: Float64Array): number {
  return values.toSorted()[values.length >> 1] ?? 0;
}

/** The smallest format that reduces a tensor's error by at least two fifths. */
export function raised({ error, analysis, planned }: Damage): FormatError | undefined {
  if (!error) return undefined;
  return possible(analysis)
    .filter((f) => f.bytes > planned.targetBytes && f.relativeRmse <= error * 0.6)
    .sort((a, b) => a.bytes - b.bytes || a.relativeRmse - b.relativeRmse)[0];
}

/** 0.0733 -> 22.7 dB. */
export const decibels = toDecibels;
