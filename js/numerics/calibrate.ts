/** Observers that find the range of a tensor from batches of it: `src/calibrate/` for JavaScript. */

import { QuantParams, type QuantMode, type QuantRange, type QuantRangeName, type SymmetricRule } from './affine.js';
import {
  bitsReader,
  codeReader,
  modeReader,
  namedRangeReader,
  rangeOf,
  rangeReader,
  ruleReader,
} from './affine-options.js';
import { expectBits, expectBytes, expectChoice, expectFloats, expectInstance, expectNumber } from '../engine/check.js';
import { dispose, release } from '../engine/dispose.js';
import type { Calibrator as EngineCalibrator } from '../engine/bindings.js';
import { count, number, offset, readFields, readOptions, type ReaderTable } from '../engine/options.js';
import { methodReader } from './codec-options.js';
import { call } from '../engine/wasm.js';
import type { CalibrationMethod, EntropyVariant } from './codec-options.js';

export type { CalibrationMethod, EntropyVariant } from './codec-options.js';

/** Options that every {@link Calibrator} has. */
export interface CalibratorOptions {
  /**
   * The codes, by name or by both ends (PyTorch's `quant_min` and `quant_max`): `narrow` by default in symmetric mode, `unsigned`
   * in asymmetric mode.
   */
  range?: QuantRangeName | QuantRange | undefined;
  /** How a symmetric scale follows from the range; `span` by default. */
  rule?: SymmetricRule | undefined;
  /** How to treat NaN and infinity: reject the batch (the default), or skip and count them. */
  nonFinite?: 'error' | 'skip' | undefined;
  /**
   * The maximum number of values that a percentile calibrator keeps, 1 to 1,048,576 (default 65,536); exact until there
   * are more.
   */
  maxSamples?: number | undefined;
  /** The seed of the sample, once there are more. */
  seed?: number | undefined;
}

const OPTIONS: ReaderTable<CalibratorOptions> = {
  range: namedRangeReader,
  rule: ruleReader,
  nonFinite: (name, value) => {
    expectChoice<'error' | 'skip'>(name, value, ['error', 'skip']);
    return value;
  },
  maxSamples: count,
  seed: offset,
};

/** The result of a calibrator. */
export interface CalibrationResult {
  /** The step: `value = scale * (code - zeroPoint)`. Positive and finite. */
  scale: number;
  /** The code of 0. */
  zeroPoint: number;
  /** The start of the range, before it is extended to include 0; clipping methods cut off tails. */
  observedMin: number;
  /** The end of the range. */
  observedMax: number;
  /** The method. */
  method: CalibrationMethod;
  /** Bits per code. */
  bits: number;
  /** Symmetric or asymmetric. */
  mode: QuantMode;
  /** The codes. */
  range: QuantRange;
}

const RESULT: ReaderTable<Pick<CalibrationResult, 'scale' | 'zeroPoint' | 'mode' | 'bits' | 'range'>> = {
  scale: number,
  zeroPoint: codeReader,
  mode: modeReader,
  bits: bitsReader,
  range: rangeReader,
};

/**
 * A streaming observer of one tensor in bounded memory. Observers of shards can be {@link merge merged}, and {@link
 * toBytes} allows a run to be resumed.
 *
 * ```ts
 * const calibrator = Calibrator.percentile(8, 'asymmetric', 0.1, 99.9);
 * for (const batch of batches) calibrator.observe(batch);
 * const { scale, zeroPoint } = calibrator.compute();
 * ```
 *
 * It occupies memory of the engine until {@link free} is called or it is garbage-collected.
 */
export class Calibrator {
  #engine: EngineCalibrator;

  /**
   * @param method - How the range is chosen.
   * @param bits - 2 to 8.
   * @param mode - Whether the zero point is the middle of the codes (`symmetric`) or follows from the range.
   * @throws `RANGE` for numbers that the method or the codes do not allow, `ARGUMENT` for an unknown method.
   */
  constructor(method: CalibrationMethod, bits: number, mode: QuantMode = 'symmetric', options: CalibratorOptions = {}) {
    const chosen = methodReader('method', method);
    expectBits(bits);
    modeReader('mode', mode);
    const { range, ...given } = readOptions('Calibrator', OPTIONS, options);
    const codes = range === undefined ? {} : { range: rangeOf(bits, mode, range) };
    this.#engine = call((engine) => new engine.Calibrator(chosen, { ...given, ...codes, bits, mode }));
  }

  /** From the smallest value to the largest. */
  static minMax(bits: number, mode: QuantMode = 'symmetric', options?: CalibratorOptions): Calibrator {
    return new Calibrator({ kind: 'minMax' }, bits, mode, options);
  }

  /** From one percentile, 0 to 100, to another. */
  static percentile(
    bits: number,
    mode: QuantMode,
    lower: number,
    upper: number,
    options?: CalibratorOptions,
  ): Calibrator {
    return new Calibrator({ kind: 'percentile', lower, upper }, bits, mode, options);
  }

  /** Exponential averages of the batches' extremes; `momentum` is the weight of a new batch. */
  static movingAverage(
    bits: number,
    mode: QuantMode = 'symmetric',
    momentum = 0.01,
    options?: CalibratorOptions,
  ): Calibrator {
    return new Calibrator({ kind: 'movingAverage', momentum }, bits, mode, options);
  }

  /** Minimises the Kullback-Leibler divergence over 2048 bins. */
  static entropy(
    bits: number,
    mode: QuantMode = 'symmetric',
    variant: EntropyVariant = 'tensorrt',
    options?: CalibratorOptions,
  ): Calibrator {
    return new Calibrator({ kind: 'entropy', variant, bins: 2048, levels: 128 }, bits, mode, options);
  }

  /** Minimises the squared error over 2048 bins. */
  static mse(bits: number, mode: QuantMode = 'symmetric', options?: CalibratorOptions): Calibrator {
    return new Calibrator({ kind: 'mse', bins: 2048 }, bits, mode, options);
  }

  /**
   * Reads a calibrator that {@link toBytes} wrote.
   *
   * @throws `MAGIC`, `MALFORMED`, `TRUNCATED` or `UNSUPPORTED` for any other bytes.
   */
  static fromBytes(bytes: Uint8Array): Calibrator {
    expectBytes('bytes', bytes);
    const engine = call((engine) => engine.Calibrator.fromBytes(bytes));
    const calibrator = new Calibrator({ kind: 'minMax' }, 8);
    release(calibrator.#engine);
    calibrator.#engine = engine;
    return calibrator;
  }

  /**
   * Observes a batch. A batch that is empty, also after skipping, is not counted.
   *
   * @throws `NON_FINITE` with `details.index` unless those are skipped; earlier observations are unchanged.
   */
  observe(batch: Float32Array): void {
    expectFloats('batch', batch);
    call(() => this.#engine.observe(batch));
  }

  /**
   * Returns the range that the method chooses for the observed values, with its scale and zero point.
   *
   * @throws `NO_DATA` if nothing was observed.
   */
  compute(): CalibrationResult {
    return call(() => this.#engine.compute()) as CalibrationResult;
  }

  /** The number of batches observed. */
  get numBatches(): number {
    return call(() => this.#engine.numBatches());
  }

  /** The number of NaN and infinite values skipped. */
  get numSkipped(): number {
    return call(() => this.#engine.numSkipped());
  }

  /** The method. */
  get method(): CalibrationMethod {
    return call(() => this.#engine.method()) as CalibrationMethod;
  }

  /** The smallest and the largest finite value observed, whatever the method chooses; `undefined` before the first. */
  get extent(): { min: number; max: number } | undefined {
    return call(() => this.#engine.extent()) as { min: number; max: number } | undefined;
  }

  /** Whether anything was observed. */
  get hasData(): boolean {
    return this.numBatches > 0;
  }

  /** Clears all observations. */
  reset(): void {
    call(() => this.#engine.reset());
  }

  /**
   * Adds the observations of `later` as if its batches had been observed here; `later` is unchanged and may be this
   * calibrator.
   *
   * Min-max equals observing all batches here, a moving average is equal up to rounding, and a percentile is equal
   * while all values fit in the sample (beyond that it uses a uniform sample of all). For entropy, values of the
   * histogram with narrower bins move by at most half of one of its bins. MSE histograms are redistributed over the
   * joint range as in PyTorch.
   *
   * @throws `ARGUMENT` if methods or codes differ.
   */
  merge(later: Calibrator): void {
    expectInstance('later', Calibrator, later);
    call(() => (later === this ? this.#engine.mergeSelf() : this.#engine.merge(later.#engine)));
  }

  /** Serializes everything for {@link fromBytes}. */
  toBytes(): Uint8Array<ArrayBuffer> {
    return call(() => this.#engine.toBytes()) as Uint8Array<ArrayBuffer>;
  }

  /** Frees its memory in the engine; the calibrator can no longer be used. A second call does nothing. */
  free(): void {
    release(this.#engine);
  }

  /** {@link free}, for `using`. */
  [dispose](): void {
    this.free();
  }
}

/**
 * Min-max calibration in one call.
 *
 * @throws `RANGE` for bits, `NON_FINITE` with `details.index`, `NO_DATA` for no values.
 */
export function calibrateMinMax(values: Float32Array, bits: number, mode: QuantMode = 'symmetric'): CalibrationResult {
  expectFloats('values', values);
  expectBits(bits);
  modeReader('mode', mode);
  return call((engine) => engine.calibrateMinMax(values, bits, mode)) as CalibrationResult;
}

/**
 * Percentile calibration in one call; exact up to 1,048,576 values, beyond that from a uniform sample of as many.
 *
 * @throws `RANGE` for bits or percentiles, `NON_FINITE` with `details.index`, `NO_DATA` for no values.
 */
export function calibratePercentile(
  values: Float32Array,
  bits: number,
  mode: QuantMode,
  lower: number,
  upper: number,
): CalibrationResult {
  expectFloats('values', values);
  expectBits(bits);
  modeReader('mode', mode);
  expectNumber('lower', lower);
  expectNumber('upper', upper);
  return call((engine) => engine.calibratePercentile(values, bits, mode, lower, upper)) as CalibrationResult;
}

/**
 * The `percent`-th percentile, interpolated linearly as NumPy does; `undefined` for no values.
 *
 * @throws `RANGE` unless `percent` is 0 to 100, `NON_FINITE` with `details.index`.
 */
export function percentile(values: Float32Array, percent: number): number | undefined {
  expectFloats('values', values);
  expectNumber('percent', percent);
  return call((engine) => engine.percentile(values, percent));
}

/** The result as parameters of a whole tensor, for `quantizeWithParams` and `analyzeError`. */
export function calibrationParams(result: CalibrationResult): QuantParams {
  const { scale, zeroPoint, mode, bits, range } = readFields(RESULT, 'result', result);
  const zeroPoints = zeroPoint === 0 ? new Int32Array() : Int32Array.of(zeroPoint);
  return new QuantParams({
    scales: Float32Array.of(scale),
    zeroPoints,
    granularity: { kind: 'perTensor' },
    mode,
    bits,
    range,
  });
}
