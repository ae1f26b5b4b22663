/** What a plan does to a model: figures of an analysis, looked up for each tensor's new type and summed. */

import { weightError, type FormatError, type FormatName, type PlannedTensor, type TensorAnalysis } from 'quantpress';
import { GROUPS, groupOf } from '../groups.ts';
import { toDecibels } from '../text.ts';
import { gridOf, type Grid } from './grid.ts';
import type { Damage } from './tensor-damage.ts';
import type { Outline } from '../state/planner.ts';

/** What becomes of a model. */
export interface Total {
  readonly size: number;
  readonly bitsPerWeight: number;
  /** The file's weight error, as `weightError` of the package defines it; nothing while no changed tensor is measured. */
  readonly error: number | undefined;
  /** Tensors that are damaged far more than the others, the worst first. */
  readonly outstanding: readonly Damage[];
  /** The most damaged tensors, the worst first: at most {@link WORST}. */
  readonly worst: readonly Damage[];
  readonly tensors: readonly Damage[];
  readonly byName: ReadonlyMap<string, Damage>;
  /** Bytes in the output file of each part of the model, by the ids of `GROUPS`. */
  readonly parts: ReadonlyMap<string, number>;
  /** The tensors by layer and kind. */
  readonly grid: Grid;
}

export type Analyses = ReadonlyMap<string, TensorAnalysis>;

/** How many of the most damaged tensors a {@link Total} names. */
const WORST = 50;

/** After this many tensors a derivation pauses, so that the page can respond between. */
const PIECE = 512;

interface Planned {
  readonly size: number;
  readonly tensors: readonly PlannedTensor[];
}

/** What a plan costs, as far as it is measured; in pieces, for files of hundreds of thousands of tensors. */
export function* damageOf(plan: Planned, analyses: Analyses): Generator<undefined, Total> {
  const tensors: Damage[] = [];
  const byName = new Map<string, Damage>();
  const parts = new Map(GROUPS.map(({ id }) => [id, 0]));
  const sums: Part[] = [];
  let weights = 0;
  for (const planned of plan.tensors) {
    const one = damageIn(planned, analyses);
    const { from, to } = planned;
    sums.push({ weights: one.weights, from, to, relativeRmse: one.error, analysis: one.analysis });
    tensors.push(one);
    byName.set(one.name, one);
    weights += one.weights;
    const { id } = groupOf(one.name);
    parts.set(id, (parts.get(id) ?? 0) + planned.targetBytes);
    if (tensors.length % PIECE === 0) yield;
  }
  const error = typical(sums);
  yield;
  const damaged = tensors.filter((tensor): tensor is Measured => (tensor.error ?? 0) > 0);
  yield;
  const worst = damaged.sort((a, b) => b.error - a.error);
  yield;
  const limit = limitOf(worst);
  return {
    size: plan.size,
    bitsPerWeight: weights > 0 ? (plan.size * 8) / weights : 0,
    error,
    outstanding: worst.filter((tensor) => tensor.error > limit),
    worst: worst.slice(0, WORST),
    tensors,
    byName,
    parts,
    grid: yield* gridOf(tensors, PIECE),
  };
}

type Measured = Damage & { readonly error: number };

function damageIn(planned: PlannedTensor, analyses: Analyses): Damage {
  const analysis = analyses.get(planned.sourceName);
  const error = errorIn(planned.from, planned.to, analysis);
  return { name: planned.name, planned, error, weights: planned.rows * planned.rowLength, analysis };
}

/** The weight error of a tensor in its new type. Copied is exact, and so is F32: every type fits into it. */
export function errorIn(from: string, to: FormatName, analysis: TensorAnalysis | undefined): number | undefined {
  return from === to || to === 'F32' ? 0 : figure(analysis, to)?.relativeRmse;
}

/** The figures of a tensor in a format, if it was measured and can be stored so. */
export function figure(analysis: TensorAnalysis | undefined, format: FormatName): FormatError | undefined {
  const found = analysis?.formats.find((candidate) => candidate.format === format);
  return found?.refusal === undefined ? found : undefined;
}

/** The formats a tensor can be stored in. */
export function possible(analysis: TensorAnalysis | undefined): FormatError[] {
  return (analysis?.formats ?? []).filter((result): result is FormatError => result.refusal === undefined);
}

/** What an outline costs, without its tensors one by one. */
export function* errorOf(
  { size, tensors, typeOf }: Outline,
  analyses: Analyses,
): Generator<undefined, { readonly error: number | undefined; readonly bitsPerWeight: number }> {
  const parts: Part[] = [];
  let weights = 0;
  for (const [index, { sourceName, from, rows, rowLength }] of tensors.entries()) {
    if (index % PIECE === PIECE - 1) yield;
    const [to, analysis, count] = [typeOf(index), analyses.get(sourceName), rows * rowLength];
    weights += count;
    parts.push({ weights: count, from, to, relativeRmse: errorIn(from, to, analysis), analysis });
  }
  yield;
  return { error: typical(parts), bitsPerWeight: weights > 0 ? (size * 8) / weights : 0 };
}

interface Part {
  readonly weights: number;
  readonly from: string;
  readonly to: string;
  readonly relativeRmse: number | undefined;
  readonly analysis: TensorAnalysis | undefined;
}

/** The file's weight error; nothing while no changed tensor is measured, or if one was and cannot have its type. */
function typical(parts: readonly Part[]): number | undefined {
  let changed = false;
  for (const { relativeRmse, analysis, from, to } of parts) {
    if (relativeRmse === undefined && analysis) return undefined;
    changed ||= relativeRmse !== undefined && from !== to;
  }
  return changed ? weightError(parts) : undefined;
}

/** By how many median deviations of the logarithm, and at least by what factor, a tensor is above the median. */
const DEVIATIONS = 5;
const FACTOR = 1.2;

/** The error from which a tensor stands out. Robust: a few bad tensors do not hide each other. */
function limitOf(damaged: readonly Measured[]): number {
  if (damaged.length < 4) return Infinity;
  const logs = Float64Array.from(damaged, ({ error }) => Math.log(error));
  const middle = median(logs);
  const spread = median(logs.map((log) => Math.abs(log - middle)));
  return Math.exp(middle + Math.max(DEVIATIONS * spread, Math.log(FACTOR)));
}

function median(values: Float64Array): number {
  return values.toSorted()[values.length >> 1] ?? 0;
}

/** The smallest format that takes at least two fifths of a tensor's error away. */
export function raised({ error, analysis, planned }: Damage): FormatError | undefined {
  if (!error) return undefined;
  return possible(analysis)
    .filter((f) => f.bytes > planned.targetBytes && f.relativeRmse <= error * 0.6)
    .sort((a, b) => a.bytes - b.bytes || a.relativeRmse - b.relativeRmse)[0];
}

/** 0.0733 -> 22.7 dB. */
export const decibels = toDecibels;
