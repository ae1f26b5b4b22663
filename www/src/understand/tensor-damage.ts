/** The damage to one tensor. */

import type { PlannedTensor, TensorAnalysis } from 'quantpress';

/** What becomes of one tensor, and what it costs. */
export interface Damage {
  readonly name: string;
  readonly planned: PlannedTensor;
  /** The tensor's weight error: 0 if it is copied; nothing if it is not measured (yet). */
  readonly error: number | undefined;
  readonly weights: number;
  readonly analysis: TensorAnalysis | undefined;
}
