/** Options that several modules of this folder share: their types and readers. */

import { expectChoice, expectText, wrongType } from '../engine/check.js';
import { QuantpressError } from '../engine/error.js';
import { count, floats, number, readKind, type KindTable, type Reader, type ReaderTable } from '../engine/options.js';

/** Options of {@link quantize}. */
export interface QuantizeOptions {
  /** The length of a row; `weights` must be whole rows. By default all weights are one row. */
  rowLength?: number | undefined;
  /**
   * The importance of each column: one non-negative weight for each of the `rowLength` columns, such as the mean
   * squared activation. Errors of important columns are reduced at the cost of others.
   */
  importance?: Float32Array | undefined;
}

/**
 * The meaning of a 4-bit code.
 *
 * - `nf4`: NormalFloat, the quantiles of a normal distribution. Best for weights.
 * - `fp4`: one sign, two exponent bits, one mantissa bit.
 * - `int4`: -7 to 7 in equal steps. Not a type of bitsandbytes; 1.4 dB worse than NF4 on gaussian weights.
 */
export type DataType4Bit = 'nf4' | 'fp4' | 'int4';

/** Weights per block. */
export type BlockSize4Bit = 32 | 64 | 128 | 256 | 512 | 1024 | 2048 | 4096;

/** How a {@link Calibrator} chooses a range. */
export type CalibrationMethod =
  /** From the smallest value to the largest. PyTorch's `MinMaxObserver`. */
  | { kind: 'minMax' }
  /** From one percentile (0 to 100) to another, interpolated linearly as NumPy does, of a uniform sample. */
  | { kind: 'percentile'; lower: number; upper: number }
  /** Exponential averages of the batches' extremes: `m += momentum * (batch - m)`. PyTorch's `averaging_constant`. */
  | { kind: 'movingAverage'; momentum: number }
  /**
   * The clip with the least Kullback-Leibler divergence, as computed by TensorRT or ONNX Runtime; `levels` applies to
   * ONNX Runtime. A batch with a wider range adds bins of the same width, as in both. A histogram that would need more
   * than 16,384 bins is rebuilt with `bins` over the whole range, which moves each earlier value by at most half of an
   * old bin.
   */
  | { kind: 'entropy'; variant: EntropyVariant; bins: number; levels: number }
  /** The clip with the least squared error over a histogram. PyTorch's `HistogramObserver`. */
  | { kind: 'mse'; bins: number };

/** The implementation of entropy calibration to follow. */
export type EntropyVariant = 'tensorrt' | 'onnxruntime';

/** Options of the block formats. */
export const QUANTIZE_OPTIONS: ReaderTable<QuantizeOptions> = { rowLength: count, importance: floats };

/** The meaning of the codes. */
export const dataTypeReader: Reader<DataType4Bit> = (name, value) => {
  expectText(name, value);
  if (value === 'nf4' || value === 'fp4' || value === 'int4') return value;
  const { message } = wrongType(name, "'nf4', 'fp4' or 'int4'", value);
  throw new QuantpressError('UNKNOWN_NAME', message, { argument: name, dataType: value });
};

/** Weights per block. The engine checks the size. */
export const blockSizeReader: Reader<BlockSize4Bit> = (name, value) => count(name, value) as BlockSize4Bit;

const METHODS: KindTable<CalibrationMethod> = {
  minMax: {},
  percentile: { lower: number, upper: number },
  movingAverage: { momentum: number },
  entropy: {
    variant: (name, value) => {
      expectChoice<EntropyVariant>(name, value, ['tensorrt', 'onnxruntime']);
      return value;
    },
    bins: count,
    levels: count,
  },
  mse: { bins: count },
};

/** A method in the form of the engine. */
export const methodReader: Reader<CalibrationMethod> = (name, value) => readKind(METHODS, name, value);
