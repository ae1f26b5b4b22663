/** Any way to quantize, as a value: what error analysis and benchmarks compare. */

import type { FormatName } from './format.js';

/** Whether zero sits in the middle of the codes or wherever the values put it. */
export type SchemeMode = 'symmetric' | 'asymmetric';

/** Which values share a scale: all, those with one index on an axis, or `size` neighbours of a row. */
export type SchemeGranularity =
  | { kind: 'perTensor' }
  | { kind: 'perChannel'; axis: number }
  | { kind: 'perGroup'; size: number };

/** A quantization and its parameters. */
export type Scheme =
  /** Integers of 2 to 8 bits with a scale. */
  | { kind: 'affine'; bits: number; mode: SchemeMode; granularity: SchemeGranularity }
  /** A codebook of 16 numbers, as bitsandbytes; `double` quantizes the absmax values too. */
  | { kind: 'fourBit'; dataType: 'nf4' | 'fp4' | 'int4'; blockSize: number; double: boolean }
  /** A GGUF block format. */
  | { kind: 'block'; format: FormatName };

/** Parameters of affine quantization: `q = clamp(round(x / s) + z)`, `x = s (q - z)`. */
export interface AffineParams {
  /** One per group. */
  scales: Float32Array;
  /** One per group; empty if all are 0. */
  zeroPoints: Int32Array;
  /** Which values share a scale. */
  granularity: SchemeGranularity;
  /** Symmetric or asymmetric. */
  mode: SchemeMode;
  /** Bits per code, 2 to 8. */
  bits: number;
  /** The codes that may be used. */
  range: { qmin: number; qmax: number };
}
