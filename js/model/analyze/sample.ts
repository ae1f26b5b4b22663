/** The rows of a tensor that an analysis reads; `src/recipe/row_sample.rs` chooses them. */

import { call } from '../../engine/wasm.js';
import type { ByteRange } from '../../pool/protocol.js';
import type { AnalyzedTensor } from './tensors.js';

/** Neighbouring rows of one matrix of a tensor, or a piece of one row that is too long to be read at once. */
export interface Stratum {
  /** The ranges of their bytes in the source: several if a conversion interleaves rows. */
  ranges: ByteRange[];
  /** The number of columns, the first of them, and the number of rows. */
  columns: number;
  column: number;
  rows: number;
  /** The matrix of a stack that they belong to. */
  matrix: number;
  /** Whether formats that are slow to encode are tried on it too. */
  slow: boolean;
}

/** About `budget` weights of a tensor, or all if it has no more. */
export function strataOf({ shape, offset, bytes, headRows = 0 }: AnalyzedTensor, budget: number): Stratum[] {
  const most = budget === Infinity ? undefined : budget;
  const numbers = call((engine) => engine.strata(Float64Array.from(shape), offset, bytes, headRows, most));
  let at = 0;
  const next = () => numbers[at++] ?? 0;
  const strata: Stratum[] = [];
  while (at < numbers.length) {
    const [columns, column, rows, matrix, slow] = [next(), next(), next(), next(), next() !== 0];
    const ranges = Array.from({ length: next() }, () => ({ offset: next(), length: next() }));
    strata.push({ ranges, columns, column, rows, matrix, slow });
  }
  return strata;
}

/** The ranges of a stratum in the form that tasks take. */
export function rangesOf({ ranges }: Stratum): ByteRange | ByteRange[] {
  const [first, ...more] = ranges;
  return first && more.length === 0 ? first : ranges;
}
