/** Which rows of a tensor are looked at: a few, from all over it, and always the same ones. */

import type { AnalyzedTensor } from './analyze-tensors.js';
import type { ByteRange } from './worker-protocol.js';

/** A tensor to take rows of. */
type Sampled = Omit<AnalyzedTensor, 'headRows'> & { headRows?: number };

/** Neighbouring rows of one matrix of a tensor, and of them the columns from the first on: all of them but for endless rows. */
export interface Stratum {
  /** Where their bytes are in the source. */
  input: ByteRange;
  /** The same in several pieces, where a conversion interleaves rows: neighbours there are not neighbours in the source. */
  pieces?: ByteRange[];
  /** Columns looked at, and rows. */
  columns: number;
  rows: number;
  /** The matrix of a stack that they are of. */
  matrix: number;
}

/** Strata of a tensor that is not looked at as a whole. */
export const STRATA = 16;

/** Weights of one stratum at most: 4 MiB of F32, the same as a tile of a conversion. */
const MOST = 1 << 20;

/** Every block of every format divides it. */
const BLOCK = 256;

/**
 * About `budget` weights of a tensor in {@link STRATA} strata at most; all its weights, if it has no more than that.
 *
 * Each stratum lies somewhere else within its part of the tensor (by the golden ratio), or attention heads of so many rows
 * would show always the same of their rows.
 */
export function strataOf(tensor: Sampled, budget: number): Stratum[] {
  const [rowLength = 0] = tensor.shape;
  const rows = tensor.shape.slice(1).reduce((product, n) => product * n, 1);
  if (rows === 0 || rowLength === 0) return [];
  const columns = Math.min(rowLength, MOST + (rowLength % BLOCK));
  const wanted = Math.max(1, Math.floor(Math.min(budget, rows * rowLength) / columns));
  return wanted >= rows ? allRows(tensor, rows, columns) : someRows(tensor, rows, columns, wanted);
}

function someRows(tensor: Sampled, rows: number, columns: number, wanted: number): Stratum[] {
  const count = Math.min(STRATA, wanted);
  const perMatrix = matrixRows(tensor, rows);
  const most = Math.max(1, Math.floor(MOST / columns));
  const length = Math.min(Math.floor(wanted / count), perMatrix, most);
  return Array.from({ length: count }, (_, index) => {
    const [from, to] = [Math.floor((index * rows) / count), Math.floor(((index + 1) * rows) / count)];
    const at = from + Math.floor(Math.max(0, to - from - length) * ((0.5 + index * GOLDEN) % 1));
    const matrix = Math.floor(at / perMatrix);
    return stratum(tensor, Math.min(at, (matrix + 1) * perMatrix - length), length, columns, rows);
  });
}

const GOLDEN = (Math.sqrt(5) - 1) / 2;

/** The whole tensor, in strata that are small and do not cross matrices. */
function allRows(tensor: Sampled, rows: number, columns: number): Stratum[] {
  const perMatrix = matrixRows(tensor, rows);
  const step = Math.max(1, Math.min(Math.ceil(rows / STRATA), Math.floor(MOST / columns)));
  const strata: Stratum[] = [];
  for (let at = 0, length = 0; at < rows; at += length) {
    length = Math.min(step, perMatrix - (at % perMatrix));
    strata.push(stratum(tensor, at, length, columns, rows));
  }
  return strata;
}

function stratum(tensor: Sampled, at: number, length: number, columns: number, rows: number): Stratum {
  const [rowLength = columns] = tensor.shape;
  const rowBytes = tensor.bytes / rows;
  // Of an endless row only its beginning is read.
  const bytesOf = (rows: number) => (columns === rowLength ? rowBytes * rows : (rowBytes / rowLength) * columns);
  const place = (from: number, to: number) => ({ offset: tensor.offset + from * rowBytes, length: bytesOf(to - from) });
  const { headRows = 0 } = tensor;
  return {
    input: place(at, at + length),
    ...(headRows > 0 && { pieces: halvesOf(at, at + length, headRows).map(([from, to]) => place(from, to)) }),
    columns,
    rows: length,
    matrix: Math.floor(at / matrixRows(tensor, rows)),
  };
}

function matrixRows({ shape }: Sampled, rows: number): number {
  return shape.length > 2 ? (shape[1] ?? rows) : rows;
}

/**
 * The rows of the source that become the rows `from` to `to` of a conversion that interleaves the halves of each head: within
 * a head of `h` rows, row `j h/2 + i` becomes row `2 i + j`. They come in another order, which no figure depends on.
 */
function halvesOf(from: number, to: number, headRows: number): [from: number, to: number][] {
  const found: [from: number, to: number][] = [];
  for (let head = Math.floor(from / headRows) * headRows; head < to; head += headRows) {
    const [a, b] = [Math.max(from - head, 0), Math.min(to - head, headRows)];
    const second = head + headRows / 2;
    for (const [start, end] of [
      [head + Math.ceil(a / 2), head + Math.ceil(b / 2)],
      [second + Math.floor(a / 2), second + Math.floor(b / 2)],
    ] as const) {
      const last = found.at(-1);
      if (last?.[1] === start) last[1] = end;
      else if (end > start) found.push([start, end]);
    }
  }
  return found;
}
