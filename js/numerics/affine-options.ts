/** The options, granularities and parameters of affine quantization: their types and readers. */

import { expectBits, expectChoice, expectCount, expectLength, expectWhole } from '../engine/check.js';
import { QuantpressError } from '../engine/error.js';
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
} from '../engine/options.js';

/**
 * Whether the zero point is in the middle of the codes or follows from the values.
 *
 * - `symmetric`: `x = s q`, one scale for both signs. The right choice for weights.
 * - `asymmetric`: `x = s (q - z)`; the range of the values, extended to include 0, fills the codes.
 */
export type QuantMode = 'symmetric' | 'asymmetric';

/**
 * Which values share a scale: all, those with one index on an axis, or `size` neighbours of a row (of the last axis).
 * With a shape, a negative axis counts from the end: -1 is the last one.
 */
export type QuantGranularity =
  | { kind: 'perTensor' }
  | { kind: 'perChannel'; axis: number }
  | { kind: 'perGroup'; size: number };

/** The range of codes; it includes zero. */
export interface QuantRange {
  /** The smallest code. */
  qmin: number;
  /** The largest code. */
  qmax: number;
}

/**
 * Codes by name, here at 8 bits: `signed` -128 to 127, `narrow` -127 to 127, `unsigned` 0 to 255.
 */
export type QuantRangeName = 'signed' | 'narrow' | 'unsigned';

/**
 * How a symmetric scale follows from the largest magnitude `m`. On a narrow range all three agree.
 *
 * - `span`: `m / ((qmax - qmin) / 2)`, PyTorch's.
 * - `positive`: `m / qmax`, TensorRT's.
 * - `noClipping`: `max(lo / qmin, hi / qmax)`, torchao's.
 */
export type SymmetricRule = 'span' | 'positive' | 'noClipping';

/** How to quantize a tensor. */
export interface QuantOptions {
  /** Bits per code, 2 to 8. */
  bits: number;
  /** `symmetric` by default. */
  mode?: QuantMode | undefined;
  /** `{ kind: 'perTensor' }` by default. */
  granularity?: QuantGranularity | undefined;
  /** `narrow` by default in symmetric mode, `unsigned` in asymmetric mode. */
  range?: QuantRangeName | QuantRange | undefined;
  /** `span` by default. */
  rule?: SymmetricRule | undefined;
}

/** The fields of {@link QuantParams}. */
export interface QuantParamsFields {
  /** One per group. */
  scales: Float32Array;
  /** One per group, or none if every zero point is 0. */
  zeroPoints: Int32Array;
  /** Which values share a scale. */
  granularity: QuantGranularity;
  /** Symmetric or asymmetric. */
  mode: QuantMode;
  /** Bits per code, 2 to 8. */
  bits: number;
  /** The codes that may be used. */
  range: QuantRange;
}

/** The fields of a {@link QuantizedTensor}. */
export interface QuantizedTensorFields {
  /** Codes of `params.bits` bits each, packed from the low bit of the first byte on (at 4 bits: the low nibble first). */
  data: Uint8Array;
  /** Scales, zero points and their meaning. */
  params: QuantParamsFields;
  /** The size of every axis. */
  shape: readonly number[];
}

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

/** The codes of a name, at a width. */
const RANGES: Readonly<Record<QuantRangeName, (bits: number) => QuantRange>> = {
  signed: (bits) => ({ qmin: -(2 ** (bits - 1)), qmax: 2 ** (bits - 1) - 1 }),
  narrow: (bits) => ({ qmin: 1 - 2 ** (bits - 1), qmax: 2 ** (bits - 1) - 1 }),
  unsigned: (bits) => ({ qmin: 0, qmax: 2 ** bits - 1 }),
};

/** Codes, by their name or both ends; by default those that are usual for the mode. */
export function rangeOf(bits: number, mode: QuantMode, range?: QuantRangeName | QuantRange): QuantRange {
  if (typeof range === 'object') return range;
  return RANGES[range ?? (mode === 'symmetric' ? 'narrow' : 'unsigned')](bits);
}

/** Codes, by their name or both ends. */
export const namedRangeReader: Reader<QuantRangeName | QuantRange> = (name, value) => {
  if (typeof value !== 'string') return rangeReader(name, value);
  expectChoice<QuantRangeName>(name, value, ['signed', 'narrow', 'unsigned']);
  return value;
};

const QUANT_OPTIONS: ReaderTable<QuantOptions> = {
  bits: bitsReader,
  mode: modeReader,
  // It is read when the shape is known.
  granularity: (_, value) => value as QuantGranularity,
  range: namedRangeReader,
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

/** Parameters in the form of the engine. */
export const readParams = (value: unknown, name = 'params'): QuantParamsFields => readFields(PARAMS, name, value);

/** The smallest normal number of single precision: no scale is smaller. */
const SMALLEST = 2 ** -126;

/** Rejects codes that do not fit the width, with `RANGE`. */
export function checkRange(bits: number, { qmin, qmax }: QuantRange): void {
  const all = rangeOf(bits, 'symmetric', qmin < 0 ? 'signed' : 'unsigned');
  if (!(qmin >= all.qmin && qmin <= 0 && qmax >= 0 && qmax <= all.qmax && qmin < qmax)) {
    const message =
      `the codes ${qmin} to ${qmax} are invalid for ${bits} bits: there must be more than one code, including 0, ` +
      `within ${all.qmin} to ${all.qmax}`;
    throw new QuantpressError('RANGE', message, { qmin, qmax, bits });
  }
}

/**
 * Rejects parameters that contradict themselves, as the engine does again wherever they are used: a test compares the two.
 *
 * @throws {@link QuantpressError} `RANGE`, `LENGTH`.
 */
export function checkParams({ scales, zeroPoints, bits, range }: QuantParamsFields): void {
  const { qmin, qmax } = range;
  checkRange(bits, range);
  const wrongScale = (index: number, wanted: string) => {
    const scale = scales[index] ?? 0;
    const message = `scale ${index} is ${scale}, and must be ${wanted}`;
    return new QuantpressError('RANGE', message, { index, scale });
  };
  const small = scales.findIndex((scale) => !(Number.isFinite(scale) && scale >= SMALLEST));
  if (small >= 0) throw wrongScale(small, 'finite and at least 2^-126');
  if (zeroPoints.length > 0) expectLength('the list of zero points', zeroPoints.length, scales.length);
  const outside = zeroPoints.findIndex((zeroPoint) => zeroPoint < qmin || zeroPoint > qmax);
  if (outside >= 0) {
    const zeroPoint = zeroPoints[outside] ?? 0;
    const message = `zero point ${outside} is ${zeroPoint}, and must be from ${qmin} to ${qmax}`;
    throw new QuantpressError('RANGE', message, { index: outside, zeroPoint });
  }
  const large = scales.findIndex((scale, index) => {
    const zeroPoint = zeroPoints[index] ?? 0;
    return !Number.isFinite(Math.fround(scale * Math.max(qmax - zeroPoint, zeroPoint - qmin)));
  });
  if (large >= 0) throw wrongScale(large, `small enough for codes ${qmin} to ${qmax}`);
}

const TENSOR: ReaderTable<QuantizedTensorFields> = {
  data: bytes,
  params: (name, value) => readParams(value, name),
  shape,
};

/** A quantized tensor in the form of the engine. */
export const readTensor = (value: unknown): QuantizedTensorFields => readFields(TENSOR, 'tensor', value);
