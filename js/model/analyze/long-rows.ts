/** The mean squares of rows that are longer than a tile: some formats weight every error of a row by it. */

import { QuantpressError } from '../../engine/error.js';
import type { Runner } from '../../pool/pool.js';
import { call } from '../../engine/wasm.js';

/** The number of weights that are read at once. */
const PIECE = 1 << 20;

/** A row of a source: where its bytes are, and its weights. */
interface Row {
  from: string;
  offset: number;
  bytes: number;
  weights: number;
}

/** The mean square of a long row, read in pieces: bit-identical to that of the whole row. */
export async function meanSquareOf(row: Row, runner: Runner, signal: AbortSignal): Promise<number> {
  const { from, offset, bytes, weights } = row;
  const rate = bytes / weights;
  let sum = 0;
  for (let at = 0; at < weights; at += PIECE) {
    const count = Math.min(PIECE, weights - at);
    const input = { offset: offset + at * rate, length: count * rate };
    sum = await runner.run({ kind: 'squares', input, from, sum }, signal).catch((error: unknown) => {
      throw shifted(error, at);
    });
  }
  return call((engine) => engine.meanSquare(sum, weights));
}

/** Whether a format needs the mean square of a row of which a tile is only a piece. */
export function needsMeanSquare(format: string, columns: number, rowLength: number): boolean {
  return columns < rowLength && call((engine) => engine.weighsByRow(format));
}

/** Shifts the index of an error to another origin. */
function shifted(error: unknown, by: number): unknown {
  if (!(error instanceof QuantpressError) || typeof error.details.index !== 'number') return error;
  return new QuantpressError(error.code, error.message, { ...error.details, index: error.details.index + by });
}
