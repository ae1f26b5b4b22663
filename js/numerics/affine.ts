/** Affine quantization at 2 to 8 bits: `src/affine/` for JavaScript. */

import { typedArrayKind } from '../engine/cross-realm.js';
import {
  expectArray,
  expectBits,
  expectBytes,
  expectCodes,
  expectCount,
  expectFlag,
  expectFloats,
  expectOffset,
  expectShape,
} from '../engine/check.js';
import {
  checkParams,
  modeReader,
  readGranularity,
  readParams,
  readQuantOptions,
  readTensor,
  type QuantGranularity,
  type QuantMode,
  type QuantOptions,
  type QuantParamsFields,
  type QuantRange,
  type QuantizedTensorFields,
} from './affine-options.js';
import { call } from '../engine/wasm.js';

export type {
  QuantMode,
  QuantGranularity,
  QuantRange,
  QuantRangeName,
  SymmetricRule,
  QuantOptions,
  QuantParamsFields,
  QuantizedTensorFields,
} from './affine-options.js';

/** Scales and zero points: `q = clamp(roundHalfEven(x (1 / s)) + z)`, `x = s (q - z)`. */
export class QuantParams implements QuantParamsFields {
  readonly scales: Float32Array;
  readonly zeroPoints: Int32Array;
  readonly granularity: QuantGranularity;
  readonly mode: QuantMode;
  readonly bits: number;
  readonly range: QuantRange;

  /**
   * Creates it from its fields, which are checked, without `init`.
   *
   * @throws {@link QuantpressError} `RANGE` for invalid bits, codes, scales or zero points, `LENGTH`, `ARGUMENT`.
   */
  constructor(fields: QuantParamsFields) {
    const params = readParams(fields);
    checkParams(params);
    ({
      scales: this.scales,
      zeroPoints: this.zeroPoints,
      granularity: this.granularity,
      mode: this.mode,
      bits: this.bits,
      range: this.range,
    } = params);
  }

  /** The number of scales. */
  get numGroups(): number {
    return this.scales.length;
  }

  /** Whether the zero points follow from the values. */
  get isAsymmetric(): boolean {
    return this.mode === 'asymmetric';
  }

  /** Whether codes are `Int8Array`s; otherwise they are `Uint8Array`s. */
  get isSigned(): boolean {
    return this.range.qmin < 0;
  }

  /** As bytes, for {@link QuantParams.fromBytes}. */
  toBytes(): Uint8Array<ArrayBuffer> {
    const params = readParams(this);
    return call((engine) => engine.paramsToBytes(params)) as Uint8Array<ArrayBuffer>;
  }

  /**
   * Reads what {@link QuantParams.toBytes} wrote.
   *
   * @throws {@link QuantpressError} `TRUNCATED`, `MAGIC`, `MALFORMED` ... for invalid or incomplete bytes.
   */
  static fromBytes(bytes: Uint8Array): QuantParams {
    expectBytes('bytes', bytes);
    return new QuantParams(call((engine) => engine.paramsFromBytes(bytes)) as QuantParamsFields);
  }
}

/** A tensor as packed codes with their parameters. */
export class QuantizedTensor implements QuantizedTensorFields {
  readonly data: Uint8Array;
  readonly params: QuantParams;
  readonly shape: readonly number[];

  /** Creates a tensor from its fields, for example from storage or another thread. */
  constructor(fields: QuantizedTensorFields) {
    const { data, params, shape } = readTensor(fields);
    this.data = data;
    this.params = fields.params instanceof QuantParams ? fields.params : new QuantParams(params);
    this.shape = shape;
  }

  /** The number of stored bytes: packed codes, scales, zero points. */
  get memoryBytes(): number {
    return this.data.byteLength + this.params.scales.byteLength + this.params.zeroPoints.byteLength;
  }

  /** As bytes, for {@link QuantizedTensor.fromBytes}. */
  toBytes(): Uint8Array<ArrayBuffer> {
    const tensor = readTensor(this);
    return call((engine) => engine.quantizedTensorToBytes(tensor)) as Uint8Array<ArrayBuffer>;
  }

  /**
   * Reads what {@link QuantizedTensor.toBytes} wrote.
   *
   * @throws {@link QuantpressError} `TRUNCATED`, `MAGIC`, `MALFORMED`, `LENGTH` ... for invalid or incomplete bytes.
   */
  static fromBytes(bytes: Uint8Array): QuantizedTensor {
    expectBytes('bytes', bytes);
    return new QuantizedTensor(call((engine) => engine.quantizedTensorFromBytes(bytes)) as QuantizedTensorFields);
  }
}

/** The error and size of one granularity. */
export interface GranularityError {
  /** Which values shared a scale. */
  granularity: QuantGranularity;
  /** The mean squared error. */
  mse: number;
  /** The size of codes, scales and zero points in bytes. */
  memoryBytes: number;
}

/**
 * Computes scales and zero points from the smallest and the largest values.
 *
 * @throws {@link QuantpressError} `LENGTH` if the number of values does not match `shape`, `RANGE` for invalid bits,
 * axis or group size, `NO_DATA`, `NON_FINITE` with the index of the first NaN or infinity.
 */
export function calibrateTensor(values: Float32Array, shape: readonly number[], options: QuantOptions): QuantParams {
  return calibrate('calibrateTensor', values, shape, options);
}

function calibrate(owner: string, values: Float32Array, shape: readonly number[], options: QuantOptions): QuantParams {
  expectFloats('values', values);
  expectShape(shape);
  const given = readQuantOptions(owner, options, shape);
  return new QuantParams(call((engine) => engine.calibrateTensor(values, shape, given)) as QuantParamsFields);
}

/** One scale and zero point for the whole tensor; see {@link calibrateTensor}. */
export function calibratePerTensor(values: Float32Array, bits: number, mode: QuantMode = 'symmetric'): QuantParams {
  expectFloats('values', values);
  return calibrate('calibratePerTensor', values, [values.length], { bits, mode });
}

/** One scale and zero point for every index on `axis`; see {@link calibrateTensor}. */
export function calibratePerChannel(
  values: Float32Array,
  shape: readonly number[],
  axis: number,
  bits: number,
  mode: QuantMode = 'symmetric',
): QuantParams {
  return calibrate('calibratePerChannel', values, shape, { bits, mode, granularity: { kind: 'perChannel', axis } });
}

/** One scale and zero point for every `size` neighbours of a row; no group crosses its end. See {@link calibrateTensor}. */
export function calibratePerGroup(
  values: Float32Array,
  shape: readonly number[],
  size: number,
  bits: number,
  mode: QuantMode = 'symmetric',
): QuantParams {
  return calibrate('calibratePerGroup', values, shape, { bits, mode, granularity: { kind: 'perGroup', size } });
}

/**
 * One code per value, an `Int8Array` if codes are signed, else a `Uint8Array`.
 *
 * @throws {@link QuantpressError} `LENGTH` if values, shape and parameters do not match, `NON_FINITE`.
 */
export function quantizeWithParams(
  values: Float32Array,
  shape: readonly number[],
  params: QuantParamsFields,
): Int8Array<ArrayBuffer> | Uint8Array<ArrayBuffer> {
  expectFloats('values', values);
  expectShape(shape);
  const given = readParams(params);
  const codes = call((engine) => engine.quantizeWithParams(values, shape, given)) as Uint8Array<ArrayBuffer>;
  return given.range.qmin < 0 ? new Int8Array(codes.buffer, codes.byteOffset, codes.length) : codes;
}

/**
 * {@link quantizeWithParams} into the caller's memory, one code per value.
 *
 * @throws {@link QuantpressError} as {@link quantizeWithParams}, and `LENGTH` if `out` has another length than `values`.
 */
export function quantizeWithParamsInto(
  values: Float32Array,
  shape: readonly number[],
  params: QuantParamsFields,
  out: Int8Array | Uint8Array,
): void {
  expectFloats('values', values);
  expectShape(shape);
  const given = readParams(params);
  const codes = expectCodes('out', out);
  call((engine) => engine.quantizeWithParamsInto(values, shape, given, codes));
}

/**
 * Decodes one code per value: `x = s (q - z)`.
 *
 * @throws {@link QuantpressError} `LENGTH` if codes, shape and parameters do not match, `RANGE` with the index of the
 * first code that is not in `params.range`.
 */
export function dequantizeWithParams(
  codes: Int8Array | Uint8Array,
  shape: readonly number[],
  params: QuantParamsFields,
): Float32Array<ArrayBuffer> {
  const bytes = expectCodes('codes', codes);
  expectShape(shape);
  const given = readParams(params);
  return call((engine) => engine.dequantizeWithParams(bytes, shape, given)) as Float32Array<ArrayBuffer>;
}

/**
 * {@link dequantizeWithParams} into the caller's memory, one value per code.
 *
 * @throws {@link QuantpressError} as {@link dequantizeWithParams}, and `LENGTH` if `out` has another length than `codes`.
 */
export function dequantizeWithParamsInto(
  codes: Int8Array | Uint8Array,
  shape: readonly number[],
  params: QuantParamsFields,
  out: Float32Array,
): void {
  expectFloats('out', out);
  expectShape(shape);
  const bytes = expectCodes('codes', codes);
  const given = readParams(params);
  call((engine) => engine.dequantizeWithParamsInto(bytes, shape, given, out));
}

/**
 * Calibrates a tensor by its smallest and largest values, and quantizes and packs it.
 *
 * @throws {@link QuantpressError} as {@link calibrateTensor}.
 * @example
 * ```ts
 * const tensor = quantizeTensor(weights, [rows, columns], { bits: 4, granularity: { kind: 'perGroup', size: 128 } });
 * tensor.memoryBytes; // codes, two to a byte, and one scale per 128
 * ```
 */
export function quantizeTensor(values: Float32Array, shape: readonly number[], options: QuantOptions): QuantizedTensor {
  expectFloats('values', values);
  expectShape(shape);
  const given = readQuantOptions('quantizeTensor', options, shape);
  return new QuantizedTensor(call((engine) => engine.quantizeTensor(values, shape, given)) as QuantizedTensorFields);
}

/** Quantizes with given parameters and packs into the caller's memory: `packedLength(n, bits)` bytes. */
export function quantizePackedInto(
  values: Float32Array,
  shape: readonly number[],
  params: QuantParamsFields,
  out: Uint8Array,
): void {
  expectFloats('values', values);
  expectBytes('out', out);
  expectShape(shape);
  const given = readParams(params);
  call((engine) => engine.quantizePackedInto(values, shape, given, out));
}

/** Decodes a quantized tensor. */
export function dequantizeTensor(tensor: QuantizedTensorFields): Float32Array<ArrayBuffer> {
  const given = readTensor(tensor);
  return call((engine) => engine.dequantizeTensor(given)) as Float32Array<ArrayBuffer>;
}

/** {@link dequantizeTensor} into the caller's memory, as many values as the shape has. */
export function dequantizeTensorInto(tensor: QuantizedTensorFields, out: Float32Array): void {
  expectFloats('out', out);
  const given = readTensor(tensor);
  call((engine) => engine.dequantizeTensorInto(given, out));
}

/**
 * The mean of `(original - decoded)^2`, summed in double precision.
 *
 * @throws {@link QuantpressError} `LENGTH` if their lengths differ, `NO_DATA` if they are empty.
 */
export function quantizationMse(original: Float32Array, decoded: Float32Array): number {
  expectFloats('original', original);
  expectFloats('decoded', decoded);
  return call((engine) => engine.quantizationMse(original, decoded));
}

/** Quantizes a tensor at each granularity, and reports error and size in the same order. */
export function compareGranularities(
  values: Float32Array,
  shape: readonly number[],
  bits: number,
  mode: QuantMode,
  granularities: readonly QuantGranularity[],
): GranularityError[] {
  expectFloats('values', values);
  expectShape(shape);
  expectBits(bits);
  const given = modeReader('mode', mode);
  expectArray('granularities', granularities);
  const each = granularities.map((value, index) => readGranularity(`granularities[${index}]`, value, shape));
  return call((engine) => engine.compareGranularities(values, shape, bits, given, each)) as GranularityError[];
}

/** Returns the number of bytes that `count` codes of `bits` bits take. */
export function packedLength(count: number, bits: number): number {
  expectOffset('count', count);
  expectBits(bits);
  return Math.ceil((count * bits) / 8);
}

/**
 * Packs one code per byte into `bits` bits per code, from the low bit of the first byte on. An `Int8Array` contains
 * signed codes; the bytes of a `Uint8Array` may also be signed codes in two's complement.
 *
 * @throws {@link QuantpressError} `RANGE` unless `bits` is 2 to 8, and with the index of the first code that takes more bits.
 */
export function packCodes(codes: Int8Array | Uint8Array, bits: number): Uint8Array<ArrayBuffer> {
  expectCodes('codes', codes);
  const out = new Uint8Array(packedLength(codes.length, bits));
  packCodesInto(codes, bits, out);
  return out;
}

/**
 * {@link packCodes} into the caller's memory: `packedLength(codes.length, bits)` bytes, which may be those of `codes`.
 *
 * @throws {@link QuantpressError} as {@link packCodes}, and `LENGTH` for another length. After an error `out` is unchanged.
 */
export function packCodesInto(codes: Int8Array | Uint8Array, bits: number, out: Uint8Array): void {
  expectBits(bits);
  const bytes = expectCodes('codes', codes);
  expectBytes('out', out);
  const signed = typedArrayKind(codes) === 'Int8Array';
  call((engine) => engine.packCodesInto(bytes, bits, signed, out));
}

/**
 * Unpacks `count` codes to one byte each.
 *
 * @throws {@link QuantpressError} `RANGE` unless `bits` is 2 to 8, `LENGTH` if the number of bytes does not match
 * `count`.
 */
export function unpackCodes(
  packed: Uint8Array,
  bits: number,
  count: number,
  signed: boolean,
): Int8Array<ArrayBuffer> | Uint8Array<ArrayBuffer> {
  expectBytes('packed', packed);
  expectBits(bits);
  expectCount('count', count);
  expectFlag('signed', signed);
  const codes = call((engine) => engine.unpackCodes(packed, bits, signed, count)) as Uint8Array<ArrayBuffer>;
  return signed ? new Int8Array(codes.buffer, codes.byteOffset, codes.length) : codes;
}

/**
 * {@link unpackCodes} into the caller's memory, one byte for each code there is: an `Int8Array` for signed codes, a
 * `Uint8Array` for unsigned ones. It may be the memory of `packed`.
 *
 * @throws {@link QuantpressError} `RANGE` unless `bits` is 2 to 8, `LENGTH` if `packed` does not have the bytes of `out.length`
 * codes. After an error `out` is unchanged.
 */
export function unpackCodesInto(packed: Uint8Array, bits: number, out: Int8Array | Uint8Array): void {
  expectBytes('packed', packed);
  expectBits(bits);
  const codes = expectCodes('out', out);
  const signed = typedArrayKind(out) === 'Int8Array';
  call((engine) => engine.unpackCodesInto(packed, bits, signed, codes));
}
