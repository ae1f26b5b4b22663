/** A quantization scheme as a value, for error analysis and benchmarks. */

import type { QuantGranularity, QuantMode } from './affine.js';
import { bitsReader, modeReader, readGranularity } from './affine-options.js';
import type { FormatName } from './format.js';
import type { DataType4Bit } from './nf4.js';
import { blockSizeReader, dataTypeReader } from './codec-options.js';
import { flag, readKind, text, type KindTable } from '../engine/options.js';

/** A quantization and its parameters. */
export type Scheme =
  /** Integers of 2 to 8 bits with a scale. */
  | { kind: 'affine'; bits: number; mode: QuantMode; granularity: QuantGranularity }
  /** A codebook of 16 numbers, as in bitsandbytes; `double` also quantizes the absmax values. */
  | { kind: 'fourBit'; dataType: DataType4Bit; blockSize: number; double: boolean }
  /** A GGUF block format. */
  | { kind: 'block'; format: FormatName };

const SCHEMES: KindTable<Scheme> = {
  affine: {
    bits: bitsReader,
    mode: modeReader,
    // It is read when the shape is known.
    granularity: (_, value) => value as QuantGranularity,
  },
  fourBit: { dataType: dataTypeReader, blockSize: blockSizeReader, double: flag },
  block: { format: text },
};

/** @internal A scheme for tensors of a shape. */
export function readScheme(value: unknown, shape: readonly number[]): Scheme {
  const scheme = readKind(SCHEMES, 'scheme', value);
  if (scheme.kind !== 'affine') return scheme;
  return { ...scheme, granularity: readGranularity('scheme.granularity', scheme.granularity, shape) };
}
