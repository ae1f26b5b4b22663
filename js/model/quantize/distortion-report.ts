/** The errors of a conversion, tile by tile, and the figures of each tensor when all are there. */

import {
  addErrors,
  errorFigures,
  noErrors,
  unchanged,
  weightError,
  type ErrorFigures,
  type ErrorSums,
} from '../../numerics/distortion.js';
import type { Json } from './journal.js';
import type { PlannedTensor } from '../plan.js';
import type { Tile } from './tiles.js';

/** Sums of tiles, which come in any order and are added in that of the file. */
export class ErrorReport {
  readonly #tiles = new Map<number, { firstWeight: number; sums: ErrorSums }[]>();

  /** One more tile. */
  add({ index, firstWeight }: Tile, sums: ErrorSums): void {
    const tiles = this.#tiles.get(index) ?? [];
    tiles.push({ firstWeight, sums });
    this.#tiles.set(index, tiles);
  }

  /** The figures of one tensor of the plan. */
  of({ from, to, hasImportance }: PlannedTensor, index: number): ErrorFigures {
    if (from === to) return unchanged(hasImportance);
    const all = noErrors();
    const tiles = this.#tiles.get(index) ?? [];
    for (const { sums } of tiles.sort((a, b) => a.firstWeight - b.firstWeight)) addErrors(all, sums);
    return errorFigures(all, hasImportance);
  }

  /** The weight error of all tensors of the plan together. */
  ofFile(tensors: readonly PlannedTensor[]): number | undefined {
    return weightError(
      tensors.map((tensor, index) => ({
        weights: tensor.rows * tensor.rowLength,
        relativeRmse: this.of(tensor, index).relativeRmse,
      })),
    );
  }
}

/** Sums as a journal keeps them: doubles survive JSON to the last bit. */
export function errorsNote(sums: ErrorSums): Json {
  return Array.from(sums);
}

/** The sums of a journal's note, if it is one. */
export function errorsOf(note: Json | undefined): ErrorSums | undefined {
  const sums = noErrors();
  if (!Array.isArray(note) || note.length !== sums.length) return undefined;
  sums.set(note);
  return sums.every(Number.isFinite) ? sums : undefined;
}
