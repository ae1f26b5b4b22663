/** Reads what affine quantization is told: options, granularities, parameters. */

import type {
  QuantGranularity,
  QuantizedTensorFields,
  QuantMode,
  QuantOptions,
  QuantParamsFields,
  QuantRange,
  QuantRangeName,
  SymmetricRule,
} from './affine.js';
import { expectBits, expectChoice, expectCount, expectWhole } from './check.js';
import {
  bytes,
  floats,
  integers,
  readFields,
  readKind,
  readOptions,
  shape,
  type KindTable,
  type Reader,
  type ReaderTable,
} from './options.js';

/** Bits of integer codes. */
export const bitsReader: Reader<number> = (name, value) => {
  expectBits(value, name);
  return value;
};

/** Symmetric or asymmetric. */
export const modeReader: Reader<QuantMode> = (name, value) => {
  expectChoice<QuantMode>(name, value, ['symmetric', 'asymmetric']);
  return value;
};

/** The rule of a symmetric scale. */
export const ruleReader: Reader<SymmetricRule> = (name, value) => {
  expectChoice<SymmetricRule>(name, value, ['span', 'positive', 'noClipping']);
  return value;
};

/** One of the codes. */
export const codeReader: Reader<number> = (name, value) => {
  expectWhole(name, value, -128, 255);
  return value;
};

const RANGE: ReaderTable<QuantRange> = { qmin: codeReader, qmax: codeReader };

/** Both ends of the codes. */
export const rangeReader: Reader<QuantRange> = (name, value) => readFields(RANGE, name, value);

const LARGEST = 0xffff_ffff;

const GRANULARITIES: KindTable<QuantGranularity> = {
  perTensor: {},
  perChannel: {
    axis: (name, value) => {
      expectWhole(name, value, -LARGEST, LARGEST);
      return value;
    },
  },
  perGroup: {
    size: (name, value) => {
      expectWhole(name, value, 1, LARGEST);
      return value;
    },
  },
};

/** A granularity; with a shape, its axis from the start. */
export function readGranularity(name: string, value: unknown, shape?: readonly number[]): QuantGranularity {
  const granularity = readKind(GRANULARITIES, name, value);
  if (granularity.kind !== 'perChannel') return granularity;
  const { axis } = granularity;
  const dimensions = shape?.length ?? 0;
  if (dimensions === 0) expectCount(`${name}.axis`, axis);
  else expectWhole(`${name}.axis`, axis, -dimensions, dimensions - 1);
  return { kind: 'perChannel', axis: axis < 0 ? axis + dimensions : axis };
}

const QUANT_OPTIONS: ReaderTable<QuantOptions> = {
  bits: bitsReader,
  mode: modeReader,
  // It is read where the shape is known.
  granularity: (_, value) => value as QuantGranularity,
  range: (name, value) => {
    if (typeof value !== 'string') return rangeReader(name, value);
    expectChoice<QuantRangeName>(name, value, ['signed', 'narrow', 'unsigned']);
    return value;
  },
  rule: ruleReader,
};

/** How to quantize a tensor of a shape. */
export function readQuantOptions(owner: string, value: unknown, shape: readonly number[]): QuantOptions {
  const options = readOptions(owner, QUANT_OPTIONS, value);
  expectBits(options.bits);
  if (options.granularity === undefined) return options;
  return { ...options, granularity: readGranularity('granularity', options.granularity, shape) };
}

const PARAMS: ReaderTable<QuantParamsFields> = {
  scales: floats,
  zeroPoints: integers,
  granularity: (name, value) => readGranularity(name, value),
  mode: modeReader,
  bits: bitsReader,
  range: rangeReader,
};

/** Parameters, as the engine takes them. */
export const readParams = (value: unknown, name = 'params'): QuantParamsFields => readFields(PARAMS, name, value);

const TENSOR: ReaderTable<QuantizedTensorFields> = {
  data: bytes,
  params: (name, value) => readParams(value, name),
  shape,
};

/** A quantized tensor, as the engine takes it. */
export const readTensor = (value: unknown): QuantizedTensorFields => readFields(TENSOR, 'tensor', value);
