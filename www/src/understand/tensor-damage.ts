/** The errors of each tensor. */

import type { TensorAnalysis } from 'quantpress';
import type { PlannedRow, PlannedTensors } from '../state/tensors.js';

/** Figures by the names in plans. */
export type Analyses = ReadonlyMap<string, TensorAnalysis>;

/** A planned tensor and its error. */
export interface Damage {
  readonly name: string;
  readonly planned: PlannedRow;
  /** The tensor's weight error: 0 if it is copied; `undefined` if it is not measured (yet). */
  readonly error: number | undefined;
  readonly weights: number;
  readonly analysis: TensorAnalysis | undefined;
}

/** The tensors of a plan with their errors. The object of a tensor is created when it is shown. */
export class Damages {
  readonly planned: PlannedTensors;
  /** NaN if it is not measured (yet). */
  readonly #errors: Float64Array;
  readonly #analyses: Analyses;

  constructor(planned: PlannedTensors, errors: Float64Array, analyses: Analyses) {
    this.planned = planned;
    this.#errors = errors;
    this.#analyses = analyses;
  }

  get length(): number {
    return this.planned.length;
  }

  /** The weight error of a tensor. */
  error(index: number): number | undefined {
    const error = this.#errors[index];
    return error === undefined || Number.isNaN(error) ? undefined : error;
  }

  /** A tensor. */
  at(index: number): Damage {
    const planned = this.planned.at(index);
    const { name, sourceName, rows, rowLength } = planned;
    const weights = rows * rowLength;
    return { name, planned, error: this.error(index), weights, analysis: this.#analyses.get(sourceName) };
  }

  /** The tensor with a name. */
  find(name: string): Damage | undefined {
    const { names } = this.planned;
    for (let index = 0; index < names.length; index++) if (names.at(index) === name) return this.at(index);
    return undefined;
  }
}
