/** The error of quantization: `src/analysis/` for JavaScript. */

import type { QuantMode, QuantParamsFields } from './affine.js';
import { modeReader, readParams } from './affine-options.js';
import {
  expectArray,
  expectBits,
  expectChoice,
  expectCount,
  expectFloats,
  expectInstance,
  expectNumber,
  expectShape,
  expectText,
  expectWhole,
  wrongType,
} from '../engine/check.js';
import { typedArrayKind } from '../engine/cross-realm.js';
import { dispose, release } from '../engine/dispose.js';
import type { ErrorAccumulator as EngineAccumulator } from '../engine/bindings.js';
import type { FormatName, QuantizeOptions } from './format.js';
import { blockSizeReader, dataTypeReader, QUANTIZE_OPTIONS } from './codec-options.js';
import type { BlockSize4Bit, DataType4Bit } from './nf4.js';
import { flag, floats, number, readFields, readOptions, type Reader, type ReaderTable } from '../engine/options.js';
import { readScheme, type Scheme } from './scheme.js';
import { call } from '../engine/wasm.js';

/** The error statistics of values `x` that decode to `y`; `e = y - x`. All sums are in double precision. */
export interface QuantErrorStats {
  /** Mean squared error, `sum e^2 / n`. */
  mse: number;
  /** Mean absolute error, `sum |e| / n`. */
  mae: number;
  /** Largest absolute error. */
  maxError: number;
  /** Signal to quantization noise, `10 log10(sum x^2 / sum e^2)` dB: `Infinity` only if the error is exactly 0. */
  sqnrDb: number;
  /** Share of the values whose absolute error exceeds the threshold, 0 to 1. */
  outlierRate: number;
  /** The number of values. */
  numSamples: number;
  /** Mean error (bias), `sum e / n`. */
  meanError: number;
  /** `sqrt(sum e^2 / sum x^2)`. */
  relativeRmse: number;
  /** `sum x y / sqrt(sum x^2 sum y^2)`; 1 if both are all zeros, 0 if one is. */
  cosineSimilarity: number;
}

/** A statistic: infinite if the values are exact or the result overflows a double. */
const statistic: Reader<number> = (name, value) => {
  if (typeof value !== 'number') throw wrongType(name, 'a number', value);
  return value;
};

const STATS: ReaderTable<QuantErrorStats> = {
  mse: statistic,
  mae: statistic,
  maxError: statistic,
  sqnrDb: statistic,
  outlierRate: statistic,
  numSamples: statistic,
  meanError: statistic,
  relativeRmse: statistic,
  cosineSimilarity: statistic,
};

/**
 * Root of the mean squared error, in the unit of the values.
 *
 * @param stats - What {@link compareError} and its siblings return.
 * @throws `ARGUMENT` for anything else, two arrays for example; `NOT_READY` before `init()`.
 */
export function rmse(stats: QuantErrorStats): number {
  if (typedArrayKind(stats) !== undefined) throw wrongType('stats', 'the result of compareError(a, b)', stats);
  const { mse } = readFields(MSE, 'stats', stats);
  return call((engine) => engine.rmse(mse));
}

const MSE: ReaderTable<Pick<QuantErrorStats, 'mse'>> = { mse: statistic };

/** Options of the functions that measure errors. */
export interface ErrorStatsOptions {
  /** An absolute error above it counts as an outlier, in the unit of the values; 0 by default. */
  outlierThreshold?: number | undefined;
}

const ERROR_OPTIONS: ReaderTable<ErrorStatsOptions> = { outlierThreshold: number };

/**
 * Gathers {@link QuantErrorStats} over any number of tiles in constant memory.
 *
 * It occupies memory of the engine until {@link free} is called or it is garbage-collected.
 */
export class ErrorAccumulator {
  readonly #engine: EngineAccumulator;

  /**
   * An accumulator of no values.
   *
   * @throws `RANGE` if `outlierThreshold` is negative or not finite.
   */
  constructor(options: ErrorStatsOptions = {}) {
    const { outlierThreshold = 0 } = readOptions('ErrorAccumulator', ERROR_OPTIONS, options);
    this.#engine = call((engine) => new engine.ErrorAccumulator(outlierThreshold));
  }

  /**
   * Adds the next values and their decoded values.
   *
   * @throws `LENGTH` if they differ in number, `NON_FINITE` with `details.index`; on an error nothing is added.
   */
  add(original: Float32Array, decoded: Float32Array): void {
    expectFloats('original', original);
    expectFloats('decoded', decoded);
    call(() => this.#engine.add(original, decoded));
  }

  /**
   * Adds the values of another accumulator, or its own once more.
   *
   * @throws `ARGUMENT` if the outlier thresholds differ.
   */
  merge(other: ErrorAccumulator): void {
    expectInstance('other', ErrorAccumulator, other);
    call(() => (other === this ? this.#engine.mergeSelf() : this.#engine.merge(other.#engine)));
  }

  /** The number of values added. */
  get length(): number {
    return call(() => this.#engine.length());
  }

  /**
   * The statistics of everything added.
   *
   * @throws `NO_DATA` if nothing was added.
   */
  stats(): QuantErrorStats {
    return call(() => this.#engine.stats()) as QuantErrorStats;
  }

  /** Frees its memory in the engine; the accumulator can no longer be used. A second call does nothing. */
  free(): void {
    release(this.#engine);
  }

  /** {@link free}, for `using`. */
  [dispose](): void {
    this.free();
  }
}

/**
 * The error statistics of values and their decoded values.
 *
 * @throws `LENGTH`, `NON_FINITE` with `details.index`, `NO_DATA` for no values.
 */
export function compareError(
  original: Float32Array,
  decoded: Float32Array,
  options: ErrorStatsOptions = {},
): QuantErrorStats {
  expectFloats('original', original);
  expectFloats('decoded', decoded);
  const { outlierThreshold = 0 } = readOptions('compareError', ERROR_OPTIONS, options);
  return call((engine) => engine.compareError(original, decoded, outlierThreshold)) as QuantErrorStats;
}

/**
 * The error of affine parameters on a row-major tensor.
 *
 * @throws `LENGTH` and `RANGE` for parameters that do not match, `NON_FINITE`, `NO_DATA` for no values.
 */
export function analyzeError(
  original: Float32Array,
  shape: readonly number[],
  params: QuantParamsFields,
  options: ErrorStatsOptions = {},
): QuantErrorStats {
  expectFloats('original', original);
  expectShape(shape);
  const { outlierThreshold = 0 } = readOptions('analyzeError', ERROR_OPTIONS, options);
  const given = readParams(params);
  return call((engine) => engine.analyzeError(original, shape, given, outlierThreshold)) as QuantErrorStats;
}

/** Options of {@link analyzeErrorFormat}. */
export interface AnalyzeFormatOptions extends QuantizeOptions, ErrorStatsOptions {}

const FORMAT_OPTIONS: ReaderTable<AnalyzeFormatOptions> = { ...QUANTIZE_OPTIONS, ...ERROR_OPTIONS };

/**
 * The error of a GGUF block format.
 *
 * @throws `UNKNOWN_NAME`, `LENGTH`, `NON_FINITE`, `NEEDS_IMPORTANCE`, `NO_DATA` for no values.
 */
export function analyzeErrorFormat(
  original: Float32Array,
  format: FormatName,
  options: AnalyzeFormatOptions = {},
): QuantErrorStats {
  expectFloats('original', original);
  expectText('format', format);
  const given = readOptions('analyzeErrorFormat', FORMAT_OPTIONS, options);
  const { rowLength = original.length, importance, outlierThreshold = 0 } = given;
  return call((engine) =>
    engine.analyzeErrorFormat(original, format, rowLength, importance, outlierThreshold),
  ) as QuantErrorStats;
}

/** Options of {@link analyzeError4bit}. */
export interface AnalyzeError4bitOptions extends ErrorStatsOptions {
  /** The meaning of the codes; `nf4` by default. */
  dataType?: DataType4Bit | undefined;
  /** Weights per block; 64 by default. */
  blockSize?: BlockSize4Bit | undefined;
  /** Whether the absmax values are also quantized; `false` by default. */
  doubleQuant?: boolean | undefined;
}

const FOUR_BIT_OPTIONS: ReaderTable<AnalyzeError4bitOptions> = {
  dataType: dataTypeReader,
  blockSize: blockSizeReader,
  doubleQuant: flag,
  ...ERROR_OPTIONS,
};

/**
 * The error of bitsandbytes' 4-bit blocks.
 *
 * @throws `RANGE` for a block size, `NON_FINITE`, `NO_DATA` for no values.
 */
export function analyzeError4bit(original: Float32Array, options: AnalyzeError4bitOptions = {}): QuantErrorStats {
  expectFloats('original', original);
  const given = readOptions('analyzeError4bit', FOUR_BIT_OPTIONS, options);
  const { outlierThreshold, ...scheme } = given;
  return analyzeErrorScheme(original, [original.length], { kind: 'fourBit', ...scheme }, { outlierThreshold });
}

/**
 * The error of any {@link Scheme} on a row-major tensor.
 *
 * @throws `ARGUMENT` for an invalid scheme, `NO_DATA` for no values, and errors of the scheme.
 */
export function analyzeErrorScheme(
  original: Float32Array,
  shape: readonly number[],
  scheme: Scheme,
  options: ErrorStatsOptions = {},
): QuantErrorStats {
  expectFloats('original', original);
  expectShape(shape);
  const { outlierThreshold = 0 } = readOptions('analyzeErrorScheme', ERROR_OPTIONS, options);
  const given = readScheme(scheme, shape);
  return call((engine) => engine.analyzeErrorScheme(original, shape, given, outlierThreshold)) as QuantErrorStats;
}

/** Options of {@link roundTrip}. */
export interface RoundTripOptions {
  /** One non-negative weight for each column; for block formats, see {@link QuantizeOptions}. */
  importance?: Float32Array | undefined;
}

const ROUND_TRIP_OPTIONS: ReaderTable<RoundTripOptions> = { importance: floats };

/**
 * Quantizes and decodes a row-major tensor by any {@link Scheme}.
 *
 * @throws `ARGUMENT` for an invalid scheme, and errors of the scheme.
 */
export function roundTrip(
  original: Float32Array,
  shape: readonly number[],
  scheme: Scheme,
  options: RoundTripOptions = {},
): Float32Array<ArrayBuffer> {
  expectFloats('original', original);
  const out = new Float32Array(original.length);
  intoRoundTrip('roundTrip', original, shape, scheme, out, options);
  return out;
}

/**
 * {@link roundTrip} into the caller's memory, which may be `original` itself.
 *
 * @throws As {@link roundTrip}, and `LENGTH` if `out` has another length than `original`. After an error `out` is unchanged.
 */
export function roundTripInto(
  original: Float32Array,
  shape: readonly number[],
  scheme: Scheme,
  out: Float32Array,
  options: RoundTripOptions = {},
): void {
  expectFloats('original', original);
  expectFloats('out', out);
  intoRoundTrip('roundTripInto', original, shape, scheme, out, options);
}

function intoRoundTrip(
  owner: string,
  original: Float32Array,
  shape: readonly number[],
  scheme: Scheme,
  out: Float32Array,
  options: RoundTripOptions,
): void {
  expectShape(shape);
  const { importance } = readOptions(owner, ROUND_TRIP_OPTIONS, options);
  const given = readScheme(scheme, shape);
  call((engine) => engine.roundTripInto(original, shape, given, importance, out));
}

/**
 * The signal to noise ratio of `bits` uniform levels in dB: `20 log10(2^bits)`, 6.02 per bit, for a uniform signal, and
 * 1.76 more for a full-scale sine.
 *
 * @throws `RANGE` unless `bits` is 1 to 32.
 */
export function theoreticalSqnr(bits: number, signal: 'uniform' | 'sine'): number {
  expectWhole('bits', bits, 1, 32);
  expectChoice('signal', signal, ['uniform', 'sine']);
  return call((engine) => engine.theoreticalSqnr(bits, signal));
}

/** Half the largest step: the maximum error of values within the range of the parameters. */
export function theoreticalMaxError(params: QuantParamsFields): number {
  const given = readParams(params);
  return call((engine) => engine.theoreticalMaxError(given));
}

/** Whether the largest error is at most the theoretical one, or larger by at most the fraction `tolerance`. */
export function errorWithinBounds(stats: QuantErrorStats, params: QuantParamsFields, tolerance = 1e-5): boolean {
  expectNumber('tolerance', tolerance);
  const [found, given] = [readFields(STATS, 'stats', stats), readParams(params)];
  return call((engine) => engine.errorWithinBounds(found, given, tolerance));
}

/** The largest error in units of its own group's step: at most 0.5 if nothing is clipped. */
export function worstErrorInSteps(original: Float32Array, shape: readonly number[], params: QuantParamsFields): number {
  expectFloats('original', original);
  expectShape(shape);
  const given = readParams(params);
  return call((engine) => engine.worstErrorInSteps(original, shape, given));
}

/** The error before and after scales are changed. */
export interface ScaleSensitivity {
  /** Mean squared error of the original parameters. */
  originalMse: number;
  /** Mean squared error with scales larger by the fraction `perturbation`. */
  perturbedMse: number;
  /** Relative change of the error per relative change of the scale. */
  sensitivity: number;
}

/**
 * Measures the change of the error when every scale is multiplied by `1 + perturbation`.
 *
 * @throws `RANGE` for a perturbation that makes a scale zero, negative or non-finite.
 */
export function scaleSensitivity(
  values: Float32Array,
  shape: readonly number[],
  params: QuantParamsFields,
  perturbation: number,
): ScaleSensitivity {
  expectFloats('values', values);
  expectShape(shape);
  expectNumber('perturbation', perturbation);
  const given = readParams(params);
  return call((engine) => engine.scaleSensitivity(values, shape, given, perturbation)) as ScaleSensitivity;
}

/** The error with scales multiplied by one factor. */
export interface ScaleError {
  /** What every scale was multiplied by. */
  factor: number;
  /** The error. */
  stats: QuantErrorStats;
}

/** The error with every scale multiplied by each of `factors`: below 1 more is clipped, above 1 the steps are coarser. */
export function scaleSweep(
  values: Float32Array,
  shape: readonly number[],
  params: QuantParamsFields,
  factors: readonly number[],
): ScaleError[] {
  expectFloats('values', values);
  expectShape(shape);
  expectArray('factors', factors);
  for (const [index, factor] of factors.entries()) expectNumber(`factors[${index}]`, factor);
  const given = readParams(params);
  return call((engine) => engine.scaleSweep(values, shape, given, Float64Array.from(factors)));
}

/** One bit width of a comparison. */
export interface BitWidthError {
  /** Bits per code. */
  bits: number;
  /** The error. */
  stats: QuantErrorStats;
  /** Bytes stored: packed codes, scale, zero point. */
  memoryBytes: number;
  /** Bytes of the values over bytes stored. */
  compressionRatio: number;
}

/** The error and the size of per-tensor integer quantization at 2 to 8 bits. */
export function compareBitWidths(values: Float32Array, mode: QuantMode = 'symmetric'): BitWidthError[] {
  expectFloats('values', values);
  const given = modeReader('mode', mode);
  return call((engine) => engine.compareBitWidths(values, given)) as BitWidthError[];
}

/** The effect of clipping the largest magnitudes on the error. */
export interface OutlierImpact {
  /** Magnitudes above it were clipped: the percentile. */
  threshold: number;
  /** The number of clipped values. */
  numClipped: number;
  /** Mean squared error without clipping. */
  originalMse: number;
  /** Mean squared error of clipping and then quantizing, relative to the original values. */
  clippedMse: number;
  /** `originalMse / clippedMse`: above 1 clipping helps, below 1 it hurts. */
  improvement: number;
}

/**
 * Clips magnitudes at a percentile, quantizes per tensor, and compares with not clipping.
 *
 * @throws `RANGE` for bits, or a percentile that is not above 0 and below 100.
 */
export function analyzeOutlierImpact(
  values: Float32Array,
  percent: number,
  bits = 8,
  mode: QuantMode = 'symmetric',
): OutlierImpact {
  expectFloats('values', values);
  expectNumber('percent', percent);
  expectBits(bits);
  const given = modeReader('mode', mode);
  return call((engine) => engine.analyzeOutlierImpact(values, percent, bits, given)) as OutlierImpact;
}

/** An outlier. */
export interface Outlier {
  /** Its index. */
  index: number;
  /** Its value. */
  value: number;
  /** Its distance in standard deviations from the mean, or its absolute error. */
  score: number;
}

/** Values more than `sigmas` standard deviations from the mean, the furthest first, at most `limit` of them. */
export function findOutliers(values: Float32Array, sigmas = 6, limit = 100): Outlier[] {
  expectFloats('values', values);
  expectNumber('sigmas', sigmas);
  expectCount('limit', limit);
  return call((engine) => engine.findOutliers(values, sigmas, limit)) as Outlier[];
}

/** The values whose absolute errors are largest, the worst first, at most `limit` of them. */
export function worstErrors(original: Float32Array, decoded: Float32Array, limit = 100): Outlier[] {
  expectFloats('original', original);
  expectFloats('decoded', decoded);
  expectCount('limit', limit);
  return call((engine) => engine.worstErrors(original, decoded, limit)) as Outlier[];
}
