/** Mean squares of rows that are longer than a tile: some formats weigh every weight of a row by it. */

import { QuantpressError } from '../../engine/error.js';
import type { Runner } from '../../pool/pool.js';
import { TILE_WEIGHTS, type Tile } from './tiles.js';
import { call } from '../../engine/wasm.js';

/** A row of a source: where its bytes are, and its weights. */
interface Row {
  from: string;
  offset: number;
  bytes: number;
  weights: number;
}

/** The mean square of a long row, read piece by piece: to the last bit what the whole row gives. */
export async function meanSquareOf(row: Row, runner: Runner, signal: AbortSignal): Promise<number> {
  const { from, offset, bytes, weights } = row;
  const rate = bytes / weights;
  let sum = 0;
  for (let at = 0; at < weights; at += TILE_WEIGHTS) {
    const count = Math.min(TILE_WEIGHTS, weights - at);
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

/** The mean squares of the rows of a conversion. Tiles are begun in order, so the last row's is all that is kept. */
export class RowMeans {
  #last: { key: string; mean: Promise<number> } | undefined;

  /** The mean square of the row that a tile is a piece of, if the tile's format needs it. */
  async of(tile: Tile, runner: Runner, signal: AbortSignal): Promise<number | undefined> {
    const { tensor, index, firstWeight, columns, input } = tile;
    const { from, to, rows, rowLength, sourceBytes } = tensor;
    if (from === to || !needsMeanSquare(to, columns, rowLength)) return undefined;
    const bytes = sourceBytes / rows;
    const column = firstWeight % rowLength;
    const key = `${index} ${firstWeight - column}`;
    if (this.#last?.key !== key) {
      const offset = input.offset - (column * bytes) / rowLength;
      this.#last = { key, mean: meanSquareOf({ from, offset, bytes, weights: rowLength }, runner, signal) };
    }
    return await this.#last.mean.catch((error: unknown) => {
      throw shifted(error, -column);
    });
  }
}

/** An error whose index counts from another weight. */
function shifted(error: unknown, by: number): unknown {
  if (!(error instanceof QuantpressError) || typeof error.details.index !== 'number') return error;
  return new QuantpressError(error.code, error.message, { ...error.details, index: error.details.index + by });
}
