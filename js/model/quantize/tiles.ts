/** The cutting of tensors into tiles, small enough that memory depends neither on the model nor on any tensor's shape. */

import type { PlannedTensor } from '../plan.js';
import type { ByteRange } from '../../pool/protocol.js';

/** Some weights of one tensor: where they are read and where the result is written. */
export interface Tile {
  tensor: PlannedTensor;
  /** The tensor's place in the plan. */
  index: number;
  /** How many of the tensor's weights come before it, in the order they are written. */
  firstWeight: number;
  /** Weights per row: all of a row's, or fewer where the row is longer than a tile and is cut at block borders. */
  columns: number;
  /** Where its bytes are in the source: with `second` half of them there, and half from `second` on. */
  input: ByteRange & { second?: number };
  /** Rows whose halves are interleaved on the way; 0 where they stay in order. */
  headRows: number;
  /** Where the result goes, and how long it must be. */
  target: { offset: number; length: number };
  /** Zero bytes after the result; only a tensor's last tile has some. */
  padding: number;
}

/** Weights per tile, 4 MiB of F32: small enough that eight workers, two tiles each, fit in a browser tab of a phone. */
export const TILE_WEIGHTS = 1 << 20;

/** The lattice searches encode a few hundred thousand weights in a second: smaller tiles, for progress and cancelling. */
const SLOW_TILE_WEIGHTS = 1 << 18;
const SLOW = /^IQ[123]_/;

/** A part of a tensor: how many weights it has, in rows of how many, and where those are in the source. */
interface Part {
  count: number;
  columns: number;
  headRows: number;
  /** Weights of the tensor before the first that is read, and before the second half where the two halves are apart. */
  from: number;
  second?: number;
}

/** What a tile reads, as tasks have it. */
export function inputOf({ input: { offset, length, second } }: Tile): ByteRange | ByteRange[] {
  if (second === undefined) return { offset, length };
  return [offset, second].map((start) => ({ offset: start, length: length / 2 }));
}

/** The tiles of all tensors, in the order of the output file. */
export function* tilesOf(tensors: readonly PlannedTensor[]): Generator<Tile> {
  for (const [index, tensor] of tensors.entries()) yield* tilesOfTensor(tensor, index);
}

/** The tiles of one tensor of the plan. */
export function* tilesOfTensor(tensor: PlannedTensor, index: number): Generator<Tile> {
  const { rows, rowLength, sourceOffset, sourceBytes, targetOffset, targetBytes } = tensor;
  const weights = rows * rowLength;
  // Exact: a block of any format has a power of two of weights.
  const [sourceRate, targetRate] = [sourceBytes / weights, isFourBitType(tensor.to) ? 0.5 : targetBytes / weights];
  let firstWeight = 0;
  for (const { count, columns, headRows, from, second } of partsOf(tensor)) {
    const [offset, length] = [sourceOffset + from * sourceRate, count * sourceRate];
    yield {
      tensor,
      index,
      firstWeight,
      columns,
      headRows,
      input: second === undefined ? { offset, length } : { offset, length, second: sourceOffset + second * sourceRate },
      // An odd end of 4-bit codes is a byte of its own.
      target: { offset: targetOffset + Math.floor(firstWeight * targetRate), length: Math.ceil(count * targetRate) },
      padding: firstWeight + count === weights ? tensor.paddedBytes - targetBytes : 0,
    };
    firstWeight += count;
  }
}

function* partsOf(tensor: PlannedTensor): Generator<Part> {
  const { from, to, rows, rowLength, headRows, sourceBytes } = tensor;
  const weights = rows * rowLength;
  const most = SLOW.test(to) ? SLOW_TILE_WEIGHTS : TILE_WEIGHTS;
  if (headRows > 0) {
    // Of a bias every weight is a row.
    yield* rows === 1 ? partsOfHeads(rowLength, 1, headRows, most) : partsOfHeads(rows, rowLength, headRows, most);
    return;
  }
  // NF4 and FP4 have blocks of 64 without regard to rows, and a copy without blocks has neither.
  const regardless = isFourBitType(to) || (from === to && sourceBytes % weights === 0);
  if (rowLength > most && !regardless) {
    yield* partsOfRows(rows, rowLength, most);
    return;
  }
  // A tile stays inside one matrix of a stack (one expert), because each has an importance vector of its own.
  const matrix = weightsPerMatrix(tensor);
  const perTile = regardless ? most : Math.floor(most / rowLength) * rowLength;
  for (let at = 0, count = 0; at < weights; at += count) {
    count = Math.min(perTile, matrix - (at % matrix));
    yield { count, columns: rowLength, headRows: 0, from: at };
  }
}

/** Rows that are longer than a tile, each in pieces of `most` weights: a whole number of blocks of every format. */
function* partsOfRows(rows: number, rowLength: number, most: number): Generator<Part> {
  for (let row = 0; row < rows; row++) yield* piecesOfRow(row * rowLength, rowLength, most);
}

function* piecesOfRow(first: number, rowLength: number, most: number): Generator<Part> {
  for (let column = 0; column < rowLength; column += most) {
    const count = Math.min(most, rowLength - column);
    yield { count, columns: count, headRows: 0, from: first + column };
  }
}

/**
 * Heads whose halves are interleaved: row `2 i + j` of a head is row `j * headRows / 2 + i` of the source. Whole heads if some
 * fit in a tile, else neighbouring rows of both halves, else one row after the other.
 */
function* partsOfHeads(rows: number, rowLength: number, headRows: number, most: number): Generator<Part> {
  const half = headRows / 2;
  const heads = Math.max(1, Math.floor(most / (headRows * rowLength)));
  const pairs = Math.floor(most / (2 * rowLength));
  // The engine refuses rows that are not whole heads of two halves.
  const apart = headRows * rowLength > most && Number.isInteger(half);
  for (let at = 0; at < rows; at += apart ? headRows : heads * headRows) {
    if (!apart) {
      const count = Math.min(heads * headRows, rows - at) * rowLength;
      yield { count, columns: rowLength, headRows, from: at * rowLength };
      continue;
    }
    for (let pair = 0; pair < half; pair += Math.max(1, pairs)) {
      const [first, second] = [(at + pair) * rowLength, (at + half + pair) * rowLength];
      if (pairs > 0) {
        const count = 2 * Math.min(pairs, half - pair);
        yield { count: count * rowLength, columns: rowLength, headRows: count, from: first, second };
      } else {
        yield* piecesOfRow(first, rowLength, most);
        yield* piecesOfRow(second, rowLength, most);
      }
    }
  }
}

/** Weights of one matrix of a tensor: `shape` is [row length, rows, matrices, ...]. */
export function weightsPerMatrix({ shape, rows, rowLength }: PlannedTensor): number {
  return rowLength * (shape.length > 2 ? (shape[1] ?? rows) : rows);
}

/** Whether tiles become bitsandbytes' codes, half a byte each, with scales apart. */
function isFourBitType(to: string): boolean {
  return to === 'NF4' || to === 'FP4';
}
