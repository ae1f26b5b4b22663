/** The cutting of tensors into tiles: whole rows, small enough that memory does not depend on the model. */

import type { PlannedTensor } from './model-plan.js';

/** A piece of one tensor: where it is read, where it is written. */
export interface Tile {
  tensor: PlannedTensor;
  /** The tensor's place in the plan. */
  index: number;
  /** How many of the tensor's weights come before it. */
  firstWeight: number;
  input: { offset: number; length: number };
  /** Where the result goes, and how long it must be. */
  target: { offset: number; length: number };
  /** Zero bytes after the result; only a tensor's last tile has some. */
  padding: number;
}

/** Weights per tile, 4 MiB of F32: small enough that eight workers, two tiles each, fit in a browser tab of a phone. */
const TILE_WEIGHTS = 1 << 20;

/** The lattice searches encode a few hundred thousand weights in a second: smaller tiles, for progress and cancelling. */
const SLOW_TILE_WEIGHTS = 1 << 18;
const SLOW = /^IQ[123]_/;

/** The tiles of all tensors, in the order of the output file. */
export function* tilesOf(tensors: readonly PlannedTensor[]): Generator<Tile> {
  for (const [index, tensor] of tensors.entries()) yield* tilesOfTensor(tensor, index);
}

/** The tiles of one tensor of the plan. */
export function* tilesOfTensor(tensor: PlannedTensor, index: number): Generator<Tile> {
  const { rows, rowLength, sourceBytes, targetBytes } = tensor;
  const weights = rows * rowLength;
  // Exact: a block of any format has a power of two of weights.
  const fourBit = isFourBitType(tensor.to);
  const [sourceRate, targetRate] = [sourceBytes / weights, fourBit ? 0.5 : targetBytes / weights];
  // A tile stays inside one matrix of a stack (one expert), because each has an importance vector of its own.
  const matrix = weightsPerMatrix(tensor);
  const perTile = weightsPerTile(tensor);
  for (let at = 0, count = 0; at < weights; at += count) {
    count = Math.min(perTile, matrix - (at % matrix));
    yield {
      tensor,
      index,
      firstWeight: at,
      input: { offset: tensor.sourceOffset + at * sourceRate, length: count * sourceRate },
      // An odd end of 4-bit codes is a byte of its own.
      target: { offset: tensor.targetOffset + Math.floor(at * targetRate), length: Math.ceil(count * targetRate) },
      padding: at + count === weights ? tensor.paddedBytes - targetBytes : 0,
    };
  }
}

/** Whole rows, at least one; of a copy without blocks any weights, so that one endless row is no exception. */
function weightsPerTile({ from, to, rows, rowLength, headRows, sourceBytes }: PlannedTensor): number {
  // Blocks of 64 without regard to rows.
  if (isFourBitType(to)) return TILE_WEIGHTS;
  if (headRows === 0 && from === to && sourceBytes % (rows * rowLength) === 0) return TILE_WEIGHTS;
  const most = SLOW.test(to) ? SLOW_TILE_WEIGHTS : TILE_WEIGHTS;
  // Rows of a head change places among themselves, so a tile has whole heads.
  const unit = Math.max(1, headRows) * rowLength;
  return Math.max(1, Math.floor(most / unit)) * unit;
}

/** Weights of one matrix of a tensor: `shape` is [row length, rows, matrices, ...]. */
export function weightsPerMatrix({ shape, rows, rowLength }: PlannedTensor): number {
  return rowLength * (shape.length > 2 ? (shape[1] ?? rows) : rows);
}

/** Whether tiles become bitsandbytes' codes, half a byte each, with scales apart. */
function isFourBitType(to: string): boolean {
  return to === 'NF4' || to === 'FP4';
}
