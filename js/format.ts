/** The GGUF block formats: `src/format/` for JavaScript. */

import { expectBytes, expectCount, expectFloats, expectText } from './check.js';
import { QuantpressError } from './error.js';
import { call } from './wasm.js';

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

/** What is known of a format without any weights. */
export interface Format {
  /** The name, as everywhere else. */
  name: FormatName;
  /** The number that stands for it in files. */
  id: number;
  /** Weights in a block; a row has to be a multiple of it. */
  weights: number;
  /** Bytes of a block. */
  bytes: number;
  /** `8 * bytes / weights`. */
  bitsPerWeight: number;
  /** Whether {@link quantize} writes it, not only {@link dequantize} reads it. */
  canEncode: boolean;
  /** Whether {@link quantize} refuses to write it without an importance vector. */
  needsImportance: boolean;
}

/** Options of {@link quantize}. */
export interface QuantizeOptions {
  /** Weights in a row: `weights` is whole rows of it. Without it, all weights are one row. */
  rowLength?: number;
  /**
   * How much each column matters: one non-negative weight for each of the `rowLength` columns, such as the mean square of
   * the activation that meets it. Errors of important columns are avoided at the cost of others.
   */
  importance?: Float32Array;
}

/** Every format, in the order of their ids. */
export function formats(): Format[] {
  return call((engine) => engine.formats()) as Format[];
}

/**
 * Encodes `weights` in `format`: the bytes ggml's reference functions (`quantize_row_*_ref`, and with importance
 * `ggml_quantize_chunk`) write for the same weights.
 *
 * @param weights - Whole rows, one after the other. All of them finite.
 * @param format - A format that can be encoded, see {@link formats}.
 * @returns `weights.length / format.weights * format.bytes` bytes.
 * @throws {@link QuantpressError} `LENGTH` if rows do not divide into blocks or `importance` is not one row long,
 * `NON_FINITE` if a weight is NaN or infinite, `NEEDS_IMPORTANCE`, `UNKNOWN_NAME`, `UNSUPPORTED` if it is only decoded.
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
  const { rowLength = weights?.length, importance } = options ?? {};
  expectFloats('weights', weights);
  expectText('format', format);
  expectCount('rowLength', rowLength);
  if (importance !== undefined) expectFloats('importance', importance);
  return call((engine) => engine.quantize(weights, format, rowLength, importance)) as Uint8Array<ArrayBuffer>;
}

/**
 * {@link quantize} into memory the caller has already.
 *
 * @returns The bytes written, which is all of `out`.
 * @throws {@link QuantpressError} as {@link quantize}, and `LENGTH` if `out` does not have exactly the bytes it takes.
 */
export function quantizeInto(
  weights: Float32Array,
  format: FormatName,
  out: Uint8Array,
  options: QuantizeOptions = {},
): number {
  expectBytes('out', out);
  return fill(out, quantize(weights, format, options), 'bytes');
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
 * {@link dequantize} into memory the caller has already.
 *
 * @returns The weights written, which is all of `out`.
 * @throws {@link QuantpressError} as {@link dequantize}, and `LENGTH` if `out` does not have exactly the weights there are.
 */
export function dequantizeInto(bytes: Uint8Array, format: FormatName, out: Float32Array): number {
  expectFloats('out', out);
  return fill(out, dequantize(bytes, format), 'weights');
}

function fill<T extends Uint8Array | Float32Array>(out: T, result: T, unit: string): number {
  if (out.length !== result.length) {
    const message = `the result has ${result.length} ${unit}, but out has room for ${out.length}`;
    throw new QuantpressError('LENGTH', message, { needed: result.length, got: out.length });
  }
  out.set(result);
  return result.length;
}
