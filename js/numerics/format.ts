/** The GGUF block formats: `src/format/` for JavaScript. */

import { expectBytes, expectFloats, expectOffset, expectText } from '../engine/check.js';
import { readOptions } from '../engine/options.js';
import { QUANTIZE_OPTIONS } from './codec-options.js';
import { call } from '../engine/wasm.js';
import { FORMATS } from './format-table.js';
import type { QuantizeOptions } from './codec-options.js';

export type { QuantizeOptions } from './codec-options.js';

/** The name of a format, spelled as llama.cpp spells it. */
export type FormatName =
  | 'F32'
  | 'F16'
  | 'Q4_0'
  | 'Q4_1'
  | 'Q5_0'
  | 'Q5_1'
  | 'Q8_0'
  | 'Q8_1'
  | 'Q2_K'
  | 'Q3_K'
  | 'Q4_K'
  | 'Q5_K'
  | 'Q6_K'
  | 'Q8_K'
  | 'IQ2_XXS'
  | 'IQ2_XS'
  | 'IQ3_XXS'
  | 'IQ1_S'
  | 'IQ4_NL'
  | 'IQ3_S'
  | 'IQ2_S'
  | 'IQ4_XS'
  | 'I8'
  | 'I16'
  | 'I32'
  | 'I64'
  | 'F64'
  | 'IQ1_M'
  | 'BF16'
  | 'TQ1_0'
  | 'TQ2_0'
  | 'MXFP4'
  | 'NVFP4'
  | 'Q1_0'
  | 'Q2_0';

/** The properties of a format. */
export interface Format {
  /** The name. */
  name: FormatName;
  /** Its id in files. */
  id: number;
  /** Weights in a block; a row has to be a multiple of it. */
  weights: number;
  /** Bytes of a block. */
  bytes: number;
  /** `8 * bytes / weights`. */
  bitsPerWeight: number;
  /** Whether {@link quantize} can write it; {@link dequantize} reads all. */
  canEncode: boolean;
  /** Whether {@link quantize} requires an importance vector. */
  needsImportance: boolean;
}

/** Every format, in the order of their ids. Works without `init`. */
export function formats(): Format[] {
  return FORMATS.map((format) => ({ ...format }));
}

/**
 * Returns the bits per weight of tensors or of a whole file: `8 * bytes / weights`, and 0 without weights.
 *
 * @throws {@link QuantpressError} `ARGUMENT` or `RANGE` for other values, `NOT_READY` before `init()`.
 */
export function bitsPerWeight(bytes: number, weights: number): number {
  expectOffset('bytes', bytes);
  expectOffset('weights', weights);
  return call((engine) => engine.bitsPerWeight(bytes, weights));
}

/**
 * Encodes `weights` in `format`: the bytes ggml's reference functions (`quantize_row_*_ref`, and with importance
 * `ggml_quantize_chunk`) write for the same weights.
 *
 * @param weights - Whole rows, one after the other. All of them finite.
 * @param format - A format that can be encoded, see {@link formats}.
 * @returns `weights.length / format.weights * format.bytes` bytes.
 * @throws {@link QuantpressError} `LENGTH` if rows do not divide into blocks or `importance` is not one row long,
 * `NON_FINITE` with the `index` of the first weight that is NaN or infinite, `UNREPRESENTABLE` with the `index` of the first
 * weight whose scale is beyond the range of its type, `NEEDS_IMPORTANCE`, `UNKNOWN_NAME`, `UNSUPPORTED` if it is only decoded.
 * @example
 * ```ts
 * const bytes = quantize(weights, 'Q4_K', { rowLength: 4096 });
 * ```
 */
export function quantize(
  weights: Float32Array,
  format: FormatName,
  options: QuantizeOptions = {},
): Uint8Array<ArrayBuffer> {
  const { rowLength, importance } = checked('quantize', weights, format, options);
  return call((engine) => engine.quantize(weights, format, rowLength, importance)) as Uint8Array<ArrayBuffer>;
}

/**
 * {@link quantize} into the caller's memory: nothing is allocated in JavaScript, and the bytes are copied once.
 * `out` may share memory with `weights`.
 *
 * @throws {@link QuantpressError} as {@link quantize}, and `LENGTH` if `out` does not have exactly the required length.
 * After an error `out` is unchanged.
 */
export function quantizeInto(
  weights: Float32Array,
  format: FormatName,
  out: Uint8Array,
  options: QuantizeOptions = {},
): void {
  const { rowLength, importance } = checked('quantizeInto', weights, format, options);
  expectBytes('out', out);
  call((engine) => engine.quantizeInto(weights, format, rowLength, importance, out));
}

/**
 * Decodes `bytes` of `format`: the weights ggml's `dequantize_row_*` give, to the bit.
 *
 * @param bytes - Whole blocks.
 * @returns `bytes.length / format.bytes * format.weights` weights.
 * @throws {@link QuantpressError} `LENGTH` if the bytes do not divide into blocks, `UNKNOWN_NAME`.
 * @example
 * ```ts
 * const weights = dequantize(bytes, 'Q4_K');
 * ```
 */
export function dequantize(bytes: Uint8Array, format: FormatName): Float32Array<ArrayBuffer> {
  expectBytes('bytes', bytes);
  expectText('format', format);
  return call((engine) => engine.dequantize(bytes, format)) as Float32Array<ArrayBuffer>;
}

/**
 * {@link dequantize} into the caller's memory: nothing is allocated in JavaScript, and the weights are copied once.
 * `out` may share memory with `bytes`.
 *
 * @throws {@link QuantpressError} as {@link dequantize}, and `LENGTH` if `out` does not have exactly the required length.
 * After an error `out` is unchanged.
 */
export function dequantizeInto(bytes: Uint8Array, format: FormatName, out: Float32Array): void {
  expectBytes('bytes', bytes);
  expectText('format', format);
  expectFloats('out', out);
  call((engine) => engine.dequantizeInto(bytes, format, out));
}

/**
 * Checks what ggml checks when it loads a model (`ggml_validate_row_data`): the scales of every block, or the floats
 * themselves, are finite. Decoding does not need it: any bytes can be decoded.
 *
 * @throws {@link QuantpressError} `INVALID_BLOCK` (for the floats, which have no scale, `NON_FINITE`) with the `index` of
 * the first bad block's first weight, `LENGTH` if the bytes do not divide into blocks, `UNKNOWN_NAME`.
 */
export function validate(bytes: Uint8Array, format: FormatName): void {
  expectBytes('bytes', bytes);
  expectText('format', format);
  call((engine) => engine.validate(bytes, format));
}

function checked(owner: string, weights: Float32Array, format: FormatName, options: QuantizeOptions) {
  expectFloats('weights', weights);
  expectText('format', format);
  const { rowLength = weights.length, importance } = readOptions(owner, QUANTIZE_OPTIONS, options);
  return { rowLength, importance };
}
