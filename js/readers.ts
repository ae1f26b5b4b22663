/** Readers that several facades share. Not in those: all that they export is offered to users. */

import type { CalibrationMethod, EntropyVariant } from './calibrate.js';
import { expectChoice, expectText, wrongType } from './check.js';
import { QuantpressError } from './error.js';
import type { QuantizeOptions } from './format.js';
import type { BlockSize4Bit, DataType4Bit } from './nf4.js';
import { count, floats, number, readKind, type KindTable, type Reader, type ReaderTable } from './options.js';

/** Options of the block formats. */
export const QUANTIZE_OPTIONS: ReaderTable<QuantizeOptions> = { rowLength: count, importance: floats };

/** The meaning of the codes. */
export const dataTypeReader: Reader<DataType4Bit> = (name, value) => {
  expectText(name, value);
  if (value === 'nf4' || value === 'fp4' || value === 'int4') return value;
  const { message } = wrongType(name, "'nf4', 'fp4' or 'int4'", value);
  throw new QuantpressError('UNKNOWN_NAME', message, { argument: name, dataType: value });
};

/** Weights per block. Which sizes there are the engine says. */
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

/** A method, as the engine takes it. */
export const methodReader: Reader<CalibrationMethod> = (name, value) => readKind(METHODS, name, value);
