/** Which rows of a tensor are looked at: a few, from all over it, and always the same ones. */

import type { AnalyzedTensor } from './tensors.js';
import type { ByteRange } from '../../pool/protocol.js';

/** Neighbouring rows of one matrix of a tensor, or a piece of one row that is too long to be read at once. */
export interface Stratum {
  /** Where their bytes are in the source. */
  input: ByteRange;
  /** The same in several pieces, where a conversion interleaves rows: neighbours there are not neighbours in the source. */
  pieces?: ByteRange[];
  /** Columns looked at, from which on, and rows. */
  columns: number;
  column: number;
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
export function strataOf(tensor: AnalyzedTensor, budget: number): Stratum[] {
  const [rowLength = 0] = tensor.shape;
  const rows = tensor.shape.slice(1).reduce((product, n) => product * n, 1);
  if (rows === 0 || rowLength === 0) return [];
  const whole = budget >= rows * rowLength;
  if (rowLength > MOST) return whole ? allPieces(tensor, rows) : somePieces(tensor, rows, budget);
  const wanted = Math.max(1, Math.floor(Math.min(budget, rows * rowLength) / rowLength));
  return wanted >= rows ? allRows(tensor, rows, rowLength) : someRows(tensor, rows, rowLength, wanted);
}

/** Rows that are too long to be read at once, each in pieces. */
function allPieces(tensor: AnalyzedTensor, rows: number): Stratum[] {
  const [rowLength = 0] = tensor.shape;
  const strata: Stratum[] = [];
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < rowLength; column += MOST) {
      strata.push(piece(tensor, row, column, Math.min(MOST, rowLength - column), rows));
    }
  }
  return strata;
}

/** Pieces of such rows, each at another place of its part of the tensor. */
function somePieces(tensor: AnalyzedTensor, rows: number, budget: number): Stratum[] {
  const [rowLength = 0] = tensor.shape;
  const blocks = Math.max(1, Math.floor(budget / BLOCK));
  const count = Math.min(STRATA, blocks);
  // A row that is not whole blocks of a format shows it by its rest: every piece has the same.
  const length = Math.min(MOST - BLOCK, Math.floor(blocks / count) * BLOCK) + (rowLength % BLOCK);
  return Array.from({ length: count }, (_, index) => {
    const at = ((index + ((0.5 + index * GOLDEN) % 1)) / count) * rows * rowLength;
    const row = Math.min(rows - 1, Math.floor(at / rowLength));
    const column = Math.floor(Math.max(0, at - row * rowLength) / BLOCK) * BLOCK;
    return piece(tensor, row, Math.min(column, rowLength - length), length, rows);
  });
}

function piece(tensor: AnalyzedTensor, row: number, column: number, columns: number, rows: number): Stratum {
  const { headRows = 0, shape, bytes, offset } = tensor;
  const [rowLength = 1] = shape;
  const rate = bytes / rows / rowLength;
  // Where the row is that a conversion puts here.
  const [[inSource] = [row]] = headRows > 0 ? halvesOf(row, row + 1, headRows) : [];
  return {
    input: { offset: offset + (inSource * rowLength + column) * rate, length: columns * rate },
    columns,
    column,
    rows: 1,
    matrix: Math.floor(row / matrixRows(tensor, rows)),
  };
}

function someRows(tensor: AnalyzedTensor, rows: number, columns: number, wanted: number): Stratum[] {
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
function allRows(tensor: AnalyzedTensor, rows: number, columns: number): Stratum[] {
  const perMatrix = matrixRows(tensor, rows);
  const step = Math.max(1, Math.min(Math.ceil(rows / STRATA), Math.floor(MOST / columns)));
  const strata: Stratum[] = [];
  for (let at = 0, length = 0; at < rows; at += length) {
    length = Math.min(step, perMatrix - (at % perMatrix));
    strata.push(stratum(tensor, at, length, columns, rows));
  }
  return strata;
}

function stratum(tensor: AnalyzedTensor, at: number, length: number, columns: number, rows: number): Stratum {
  const rowBytes = tensor.bytes / rows;
  const place = (from: number, to: number) => ({
    offset: tensor.offset + from * rowBytes,
    length: (to - from) * rowBytes,
  });
  const { headRows = 0 } = tensor;
  return {
    input: place(at, at + length),
    ...(headRows > 0 && { pieces: halvesOf(at, at + length, headRows).map(([from, to]) => place(from, to)) }),
    columns,
    column: 0,
    rows: length,
    matrix: Math.floor(at / matrixRows(tensor, rows)),
  };
}

function matrixRows({ shape }: AnalyzedTensor, rows: number): number {
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
