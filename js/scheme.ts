/** Any way to quantize, as a value: what error analysis and benchmarks compare. */

import type { QuantGranularity, QuantMode } from './affine.js';
import type { FormatName } from './format.js';
import type { DataType4Bit } from './nf4.js';

/** A quantization and its parameters. */
export type Scheme =
  /** Integers of 2 to 8 bits with a scale. */
  | { kind: 'affine'; bits: number; mode: QuantMode; granularity: QuantGranularity }
  /** A codebook of 16 numbers, as bitsandbytes; `double` quantizes the absmax values too. */
  | { kind: 'fourBit'; dataType: DataType4Bit; blockSize: number; double: boolean }
  /** A GGUF block format. */
  | { kind: 'block'; format: FormatName };
