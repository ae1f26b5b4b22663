/** What a plan consists of. */

import type { FormatName } from '../numerics/format.js';
import type { SourceType } from './model.js';

/** What becomes of one tensor. */
export interface PlannedTensor {
  name: string;
  /** Its name in the source: another where layers before it are left out. */
  sourceName: string;
  /** Its type before and after; the same where it is copied. Of the presets `NF4` and `FP4` also these two names. */
  from: SourceType;
  to: FormatName;
  /** Which rule or fallback decided. */
  why: string;
  shape: number[];
  rows: number;
  rowLength: number;
  /** Rows of one attention head whose halves are interleaved on the way; 0 where rows stay in order. */
  headRows: number;
  /** Where its bytes are in the source, and how many. */
  sourceOffset: number;
  sourceBytes: number;
  /** Where they go in the output file, how many, and how many with the padding after them. */
  targetOffset: number;
  targetBytes: number;
  paddedBytes: number;
  /** Whether its new type demands an importance vector, and whether there is one. */
  needsImportance: boolean;
  hasImportance: boolean;
}

/** One of the files that are written. */
export interface PlannedShard {
  /** Where it begins among the bytes of all, end to end, and how many it has. */
  offset: number;
  size: number;
  /** Its header, whole. */
  header: Uint8Array<ArrayBuffer>;
}
