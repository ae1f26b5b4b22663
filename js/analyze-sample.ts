/** Which rows of a tensor are looked at: a few, from all over it, and always the same ones. */

import type { TensorInfo } from './model.js';

/** Neighbouring rows of one matrix of a tensor, and of them the columns from the first on: all of them but for endless rows. */
export interface Stratum {
  /** Where their bytes are in the source. */
  input: { offset: number; length: number };
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
export function strataOf(tensor: TensorInfo, budget: number): Stratum[] {
  const [rowLength = 0] = tensor.shape;
  const rows = tensor.shape.slice(1).reduce((product, n) => product * n, 1);
  if (rows === 0 || rowLength === 0) return [];
  const columns = Math.min(rowLength, MOST + (rowLength % BLOCK));
  const wanted = Math.max(1, Math.floor(Math.min(budget, rows * rowLength) / columns));
  return wanted >= rows ? allRows(tensor, rows, columns) : someRows(tensor, rows, columns, wanted);
}

function someRows(tensor: TensorInfo, rows: number, columns: number, wanted: number): Stratum[] {
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
function allRows(tensor: TensorInfo, rows: number, columns: number): Stratum[] {
  const perMatrix = matrixRows(tensor, rows);
  const step = Math.max(1, Math.min(Math.ceil(rows / STRATA), Math.floor(MOST / columns)));
  const strata: Stratum[] = [];
  for (let at = 0, length = 0; at < rows; at += length) {
    length = Math.min(step, perMatrix - (at % perMatrix));
    strata.push(stratum(tensor, at, length, columns, rows));
  }
  return strata;
}

function stratum(tensor: TensorInfo, at: number, length: number, columns: number, rows: number): Stratum {
  const [rowLength = columns] = tensor.shape;
  const rowBytes = tensor.bytes / rows;
  // Of an endless row only its beginning is read.
  const bytes = columns === rowLength ? rowBytes * length : (rowBytes / rowLength) * columns;
  return {
    input: { offset: tensor.offset + at * rowBytes, length: bytes },
    columns,
    rows: length,
    matrix: Math.floor(at / matrixRows(tensor, rows)),
  };
}

function matrixRows({ shape }: TensorInfo, rows: number): number {
  return shape.length > 2 ? (shape[1] ?? rows) : rows;
}
