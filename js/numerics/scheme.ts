/** A quantization scheme as a value, for error analysis and benchmarks. */

import type { QuantGranularity, QuantMode, QuantRange, QuantRangeName, SymmetricRule } from './affine.js';
import {
  bitsReader,
  checkRange,
  modeReader,
  namedRangeReader,
  rangeOf,
  readGranularity,
  ruleReader,
} from './affine-options.js';
import type { FormatName } from './format.js';
import type { BlockSize4Bit, DataType4Bit } from './nf4.js';
import { blockSizeReader, dataTypeReader } from './codec-options.js';
import { flag, optional, readKind, text, type KindTable } from '../engine/options.js';

/** A quantization and its parameters. Options and defaults are those of the function that quantizes so. */
export type Scheme =
  /**
   * Integers of 2 to 8 bits with a scale, as `quantizeTensor`: `symmetric`, per tensor, the codes of the mode and the rule
   * `span` by default.
   */
  | {
      kind: 'affine';
      bits: number;
      mode?: QuantMode | undefined;
      granularity?: QuantGranularity | undefined;
      range?: QuantRangeName | QuantRange | undefined;
      rule?: SymmetricRule | undefined;
    }
  /**
   * A codebook of 16 numbers, as `quantize4bit`: `nf4` in blocks of 64 by default. `doubleQuant` quantizes the absmax values too,
   * as `quantize4bitDouble`.
   */
  | {
      kind: 'fourBit';
      dataType?: DataType4Bit | undefined;
      blockSize?: BlockSize4Bit | undefined;
      doubleQuant?: boolean | undefined;
    }
  /** A GGUF block format, as `quantize`. */
  | { kind: 'block'; format: FormatName };

/** A scheme in results: nothing is left out. */
export type CompleteScheme =
  | {
      kind: 'affine';
      bits: number;
      mode: QuantMode;
      granularity: QuantGranularity;
      range: QuantRange;
      rule: SymmetricRule;
    }
  | { kind: 'fourBit'; dataType: DataType4Bit; blockSize: BlockSize4Bit; doubleQuant: boolean }
  | { kind: 'block'; format: FormatName };

const SCHEMES: KindTable<Scheme> = {
  affine: {
    bits: bitsReader,
    mode: optional(modeReader),
    // It is read when the shape is known.
    granularity: (_, value) => value as QuantGranularity | undefined,
    range: optional(namedRangeReader),
    rule: optional(ruleReader),
  },
  fourBit: {
    dataType: optional(dataTypeReader),
    blockSize: optional(blockSizeReader),
    doubleQuant: optional(flag),
  },
  block: { format: text },
};

/** @internal A scheme for tensors of a shape. */
export function readScheme(value: unknown, shape: readonly number[]): Scheme {
  const scheme = readKind(SCHEMES, 'scheme', value);
  if (scheme.kind !== 'affine') return scheme;
  const { bits, mode = 'symmetric', granularity = { kind: 'perTensor' } } = scheme;
  const range = rangeOf(bits, mode, scheme.range);
  checkRange(bits, range);
  return { ...scheme, range, granularity: readGranularity('scheme.granularity', granularity, shape) };
}
