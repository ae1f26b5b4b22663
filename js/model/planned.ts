/** The parts of a plan. */

import type { FormatName } from '../numerics/format.js';
import type { SourceType } from './model.js';

/** The conversion of one tensor. */
export interface PlannedTensor {
  name: string;
  /** Its name in the source, which differs if earlier layers are pruned. */
  sourceName: string;
  /** Its type before and after; equal if it is copied. With the presets `NF4` and `FP4`, `to` is that name. */
  from: SourceType;
  to: FormatName;
  /** The rule or fallback that decided. */
  why: string;
  shape: readonly number[];
  rows: number;
  rowLength: number;
  /** Rows of one attention head whose halves the conversion interleaves; 0 if rows stay in order. */
  permutedHeadRows: number;
  /** The offset and number of its bytes in the source. */
  sourceOffset: number;
  sourceBytes: number;
  /** The offset and number of its bytes in the output file, and their number including padding. */
  targetOffset: number;
  targetBytes: number;
  paddedBytes: number;
  /** Whether its new type requires an importance vector, and whether there is one. */
  needsImportance: boolean;
  hasImportance: boolean;
}

/** One of the files that are written. */
export interface PlannedShard {
  /** Its offset in the concatenated files, and its size. */
  offset: number;
  size: number;
  /** Its header, whole. */
  header: Uint8Array<ArrayBuffer>;
}
