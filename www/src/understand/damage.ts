/** What a plan does to a model: figures of an analysis, looked up for each tensor's new type and summed. */

import type { FormatError, FormatName, PlannedTensor, TensorAnalysis } from 'quantpress';

/** What becomes of one tensor, and what it costs. */
export interface Damage {
  readonly name: string;
  readonly planned: PlannedTensor;
  /** `sqrt(sum e^2 / sum x^2)`: 0 if it is kept; nothing if it was not measured (yet). */
  readonly error: number | undefined;
  readonly weights: number;
  readonly analysis: TensorAnalysis | undefined;
}

/** What becomes of a model. */
export interface Total {
  readonly size: number;
  readonly bitsPerWeight: number;
  /** Root of the mean over all weights of the squared relative error of their tensor, as far as it is measured. */
  readonly error: number | undefined;
  /** Tensors that are damaged far more than the others. */
  readonly outstanding: readonly Damage[];
  readonly tensors: readonly Damage[];
}

export type Analyses = ReadonlyMap<string, TensorAnalysis>;

/** What a plan costs, as far as it is measured. */
export function damageOf(plan: { size: number; tensors: readonly PlannedTensor[] }, analyses: Analyses): Total {
  const tensors = plan.tensors.map((planned): Damage => {
    const analysis = analyses.get(planned.sourceName);
    // Whatever there is fits into F32.
    const kept = planned.from === planned.to || planned.to === 'F32';
    const error = kept ? 0 : figure(analysis, planned.to)?.relativeRmse;
    return { name: planned.name, planned, error, weights: planned.rows * planned.rowLength, analysis };
  });
  const weights = tensors.reduce((sum, tensor) => sum + tensor.weights, 0);
  return {
    size: plan.size,
    bitsPerWeight: weights > 0 ? (plan.size * 8) / weights : 0,
    error: typical(tensors),
    outstanding: outstanding(tensors),
    tensors,
  };
}

/** The figures of a tensor in a format, if it was measured and can be stored so. */
export function figure(analysis: TensorAnalysis | undefined, format: FormatName): FormatError | undefined {
  return possible(analysis).find((candidate) => candidate.format === format);
}

/** The formats a tensor can be stored in. */
export function possible(analysis: TensorAnalysis | undefined): FormatError[] {
  return (analysis?.formats ?? []).filter((result): result is FormatError => result.refusal === undefined);
}

/** Tensors whose new type was measured, of all that change. */
export function measured(tensors: readonly Damage[]): { done: number; all: number } {
  const changed = tensors.filter(({ planned }) => planned.from !== planned.to);
  return { done: changed.filter(({ error }) => error !== undefined).length, all: changed.length };
}

function typical(tensors: readonly Damage[]): number | undefined {
  let [squares, weights, changed] = [0, 0, false];
  for (const tensor of tensors) {
    // Not yet looked at says nothing; looked at, and not in this format, means that nobody knows.
    if (tensor.error === undefined && tensor.analysis) return undefined;
    if (tensor.error === undefined) continue;
    squares += tensor.weights * tensor.error ** 2;
    weights += tensor.weights;
    changed ||= tensor.planned.from !== tensor.planned.to;
  }
  return changed && weights > 0 ? Math.sqrt(squares / weights) : undefined;
}

/** By how many median deviations of the logarithm, and at least by what factor, a tensor is above the median. */
const DEVIATIONS = 5;
const FACTOR = 1.2;

/** Robust: a few bad tensors do not hide each other. The worst first. */
function outstanding(tensors: readonly Damage[]): Damage[] {
  const damaged = tensors.filter(({ error }) => error !== undefined && error > 0);
  if (damaged.length < 4) return [];
  const logs = damaged.map(({ error }) => Math.log(error as number));
  const middle = median(logs);
  const spread = median(logs.map((log) => Math.abs(log - middle)));
  const limit = Math.exp(middle + Math.max(DEVIATIONS * spread, Math.log(FACTOR)));
  return worst(damaged.filter(({ error }) => (error as number) > limit));
}

/** The most damaged first. */
export function worst(tensors: readonly Damage[]): Damage[] {
  return [...tensors].sort((a, b) => (b.error ?? 0) - (a.error ?? 0));
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? 0;
}

/** The smallest format that takes at least two fifths of a tensor's error away. */
export function raised({ error, analysis, planned }: Damage): FormatError | undefined {
  if (!error) return undefined;
  return possible(analysis)
    .filter((f) => f.bytes > planned.targetBytes && f.relativeRmse <= error * 0.6)
    .sort((a, b) => a.bytes - b.bytes || a.relativeRmse - b.relativeRmse)[0];
}

/** 0.0733 -> 22.7 dB. */
export function decibels(error: number): number {
  return -20 * Math.log10(error);
}
