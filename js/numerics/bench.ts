/** Weight generators, the suite over every scheme, and what quantization costs a classifier: `src/bench/` for JavaScript. */

import type { CalibrationMethod } from './calibrate.js';
import { QuantpressError } from '../engine/error.js';
import { methodReader } from './codec-options.js';
import {
  expectBits,
  expectCount,
  expectFloats,
  expectNumber,
  expectObject,
  expectSeed,
  expectShape,
  expectText,
  wrongType,
} from '../engine/check.js';
import { dispose, release } from '../engine/dispose.js';
import { callBench, loadBench } from '../engine/bench.js';
import type { AccuracyBenchmark as EngineBenchmark } from '../engine/bench-bindings.js';
import { bytes, count, floats, offset, readFields, readOptions, type ReaderTable } from '../engine/options.js';
import { readScheme, type CompleteScheme, type Scheme } from './scheme.js';
import { call } from '../engine/wasm.js';

/**
 * `n` values from the normal distribution. Equal seeds give equal weights on every machine; without one the seed comes
 * from the system's entropy (`crypto.getRandomValues`).
 *
 * @throws `RANGE` for an invalid mean or deviation.
 */
export function generateGaussianWeights(n: number, mean = 0, stdDev = 1, seed?: number): Float32Array<ArrayBuffer> {
  expectCount('n', n);
  expectNumber('mean', mean, true);
  expectNumber('stdDev', stdDev, true);
  expectSeed(seed);
  return call((engine) => engine.generateGaussianWeights(n, mean, stdDev, seed)) as Float32Array<ArrayBuffer>;
}

/**
 * {@link generateGaussianWeights} into the caller's memory: all of `out`, the same weights as for `n = out.length`.
 *
 * @throws As {@link generateGaussianWeights}. After an error `out` is unchanged.
 */
export function generateGaussianWeightsInto(out: Float32Array, mean = 0, stdDev = 1, seed?: number): void {
  expectFloats('out', out);
  expectNumber('mean', mean, true);
  expectNumber('stdDev', stdDev, true);
  expectSeed(seed);
  call((engine) => engine.generateGaussianWeightsInto(out, mean, stdDev, seed));
}

/**
 * `n` values uniform in `min..max`.
 *
 * @throws `RANGE` unless `min <= max` are finite.
 */
export function generateUniformWeights(n: number, min = -1, max = 1, seed?: number): Float32Array<ArrayBuffer> {
  expectCount('n', n);
  expectNumber('min', min, true);
  expectNumber('max', max, true);
  expectSeed(seed);
  return call((engine) => engine.generateUniformWeights(n, min, max, seed)) as Float32Array<ArrayBuffer>;
}

/**
 * {@link generateUniformWeights} into the caller's memory: all of `out`.
 *
 * @throws As {@link generateUniformWeights}. After an error `out` is unchanged.
 */
export function generateUniformWeightsInto(out: Float32Array, min = -1, max = 1, seed?: number): void {
  expectFloats('out', out);
  expectNumber('min', min, true);
  expectNumber('max', max, true);
  expectSeed(seed);
  call((engine) => engine.generateUniformWeightsInto(out, min, max, seed));
}

/**
 * `n` standard normal values, of which the fraction `outlierRatio`, at random positions, is replaced by plus or minus
 * `outlierMagnitude`.
 *
 * @throws `RANGE` for a ratio outside 0 to 1 or a negative magnitude.
 */
export function generateWeightsWithOutliers(
  n: number,
  outlierRatio = 0.01,
  outlierMagnitude = 10,
  seed?: number,
): Float32Array<ArrayBuffer> {
  expectCount('n', n);
  expectNumber('outlierRatio', outlierRatio);
  expectNumber('outlierMagnitude', outlierMagnitude, true);
  expectSeed(seed);
  return call((engine) =>
    engine.generateWeightsWithOutliers(n, outlierRatio, outlierMagnitude, seed),
  ) as Float32Array<ArrayBuffer>;
}

/**
 * {@link generateWeightsWithOutliers} into the caller's memory: all of `out`.
 *
 * @throws As {@link generateWeightsWithOutliers}. After an error `out` is unchanged.
 */
export function generateWeightsWithOutliersInto(
  out: Float32Array,
  outlierRatio = 0.01,
  outlierMagnitude = 10,
  seed?: number,
): void {
  expectFloats('out', out);
  expectNumber('outlierRatio', outlierRatio);
  expectNumber('outlierMagnitude', outlierMagnitude, true);
  expectSeed(seed);
  call((engine) => engine.generateWeightsWithOutliersInto(out, outlierRatio, outlierMagnitude, seed));
}

/**
 * `numChannels` rows of `featuresPerChannel` normal values, row `c` of standard deviation
 * `1 + scaleVariance * c / numChannels`.
 *
 * @throws `RANGE` for a negative variance, `TOO_LARGE` for more values than fit in memory.
 */
export function generateMultiChannelWeights(
  numChannels: number,
  featuresPerChannel: number,
  scaleVariance = 5,
  seed?: number,
): Float32Array<ArrayBuffer> {
  expectCount('numChannels', numChannels);
  expectCount('featuresPerChannel', featuresPerChannel);
  expectNumber('scaleVariance', scaleVariance, true);
  expectSeed(seed);
  return call((engine) =>
    engine.generateMultiChannelWeights(numChannels, featuresPerChannel, scaleVariance, seed),
  ) as Float32Array<ArrayBuffer>;
}

/**
 * {@link generateMultiChannelWeights} into the caller's memory: `numChannels` rows of `out.length / numChannels`.
 *
 * @throws As {@link generateMultiChannelWeights}, and `LENGTH` if `out` cannot be divided into so many rows. After an error
 * `out` is unchanged.
 */
export function generateMultiChannelWeightsInto(
  out: Float32Array,
  numChannels: number,
  scaleVariance = 5,
  seed?: number,
): void {
  expectFloats('out', out);
  expectCount('numChannels', numChannels);
  expectNumber('scaleVariance', scaleVariance, true);
  expectSeed(seed);
  call((engine) => engine.generateMultiChannelWeightsInto(out, numChannels, scaleVariance, seed));
}

/** One scheme on one tensor. */
export interface QuantBenchmarkResult {
  /** The name of data and scheme, for display. */
  name: string;
  /** The scheme, with nothing left out. */
  scheme: CompleteScheme;
  /** Values quantized. */
  numElements: number;
  /** Bytes stored: codes, scales, zero points. */
  memoryBytes: number;
  /** Bits stored per value. */
  bitsPerWeight: number;
  /** Bytes of the values, four each, over bytes stored. */
  compressionRatio: number;
  /** Mean squared error. */
  mse: number;
  /** Largest absolute error. */
  maxError: number;
  /** Signal to quantization noise in dB. */
  sqnrDb: number;
  /** Cosine of values and decoded values. */
  cosineSimilarity: number;
  /** Milliseconds to quantize, the fastest of a few runs. */
  encodeMs: number;
  /** Milliseconds to decode, the fastest of a few runs. */
  decodeMs: number;
  /**
   * Fidelity and compression in one number: `sqnrDb - 6.02 bitsPerWeight`. One bit per weight corresponds to 6.02 dB,
   * as for an ideal quantizer.
   */
  qualityScore: number;
}

/** Results to compare. */
export class BenchmarkSuite {
  /** In the order they were added. */
  readonly results: QuantBenchmarkResult[] = [];

  /** Adds a result. */
  add(result: QuantBenchmarkResult): void {
    expectObject('result', result);
    // Infinite if there is no error.
    for (const name of ['sqnrDb', 'mse', 'qualityScore'] as const) {
      if (typeof result[name] !== 'number') throw wrongType(`result.${name}`, 'a number', result[name]);
    }
    this.results.push(result);
  }

  /** The result with the highest SQNR. */
  bestBySqnr(): QuantBenchmarkResult | undefined {
    return this.#first((a, b) => descending(a.sqnrDb, b.sqnrDb));
  }

  /** The result with the lowest mean squared error. */
  bestByMse(): QuantBenchmarkResult | undefined {
    return this.#first((a, b) => descending(b.mse, a.mse));
  }

  /** All results, the highest quality score first. */
  sortedByQuality(): QuantBenchmarkResult[] {
    return this.results.toSorted((a, b) => descending(a.qualityScore, b.qualityScore));
  }

  #first(order: (a: QuantBenchmarkResult, b: QuantBenchmarkResult) => number): QuantBenchmarkResult | undefined {
    return this.results.toSorted(order)[0];
  }
}

/** Unlike a difference, this also orders infinities. */
function descending(a: number, b: number): number {
  return a === b ? 0 : a > b ? -1 : 1;
}

const now = (): number => performance.now();

/**
 * Quantizes a row-major tensor by a scheme and measures error, size and time.
 *
 * @throws `NO_DATA` for no values, and errors of the scheme.
 */
export function runBenchmark(
  name: string,
  values: Float32Array,
  shape: readonly number[],
  scheme: Scheme,
): QuantBenchmarkResult {
  expectText('name', name);
  expectFloats('values', values);
  expectShape(shape);
  const given = readScheme(scheme, shape);
  return call((engine) => engine.runBenchmark(name, values, shape, given, now)) as QuantBenchmarkResult;
}

/**
 * Every scheme on gaussian, uniform, outlier and multi-channel weights, about `size` values each: integers of 2 to 8 bits,
 * symmetric and asymmetric, per tensor, per channel and in groups; NF4, FP4, INT4; every block format that can be written
 * without an importance matrix. With a seed the data is the same every time.
 */
export function runFullBenchmarkSuite(size = 65_536, seed?: number): BenchmarkSuite {
  expectCount('size', size);
  expectSeed(seed);
  const suite = new BenchmarkSuite();
  const results = call((engine) => engine.runFullBenchmarkSuite(size, seed, now)) as QuantBenchmarkResult[];
  for (const result of results) suite.add(result);
  return suite;
}

/** The degradation of one bit width relative to eight bits. */
export interface BitWidthDegradation {
  /** Bits per code. */
  bits: number;
  /** Mean squared error. */
  mse: number;
  /** Signal to quantization noise in dB. */
  sqnrDb: number;
  /** Mean squared error over that of eight bits. */
  degradation: number;
  /** Bytes of the values over bytes stored, packed codes and scale. */
  compressionRatio: number;
}

/** Error and true compression of symmetric per-tensor integers at 2 to 8 bits. */
export function compareBitWidthDegradation(values: Float32Array): BitWidthDegradation[] {
  expectFloats('values', values);
  return call((engine) => engine.compareBitWidthDegradation(values)) as BitWidthDegradation[];
}

/**
 * The share of a task metric (larger is better) that quantization keeps: `quantizedMetric / originalMetric`.
 *
 * @throws `RANGE` unless the original metric is positive and the quantized one not negative.
 */
export function accuracyRetention(originalMetric: number, quantizedMetric: number): number {
  expectNumber('originalMetric', originalMetric);
  expectNumber('quantizedMetric', quantizedMetric);
  return call((engine) => engine.accuracyRetention(originalMetric, quantizedMetric));
}

/** Images of handwritten digits. */
export interface Digits {
  /** 64 pixels each, row by row, from 0 (background) to 1; one image after the other. */
  images: Float32Array;
  /** The digit of each image, 0 to 9. */
  labels: Uint8Array;
}

/** The options for training the classifier of {@link AccuracyBenchmark}. */
export interface AccuracyOptions {
  /** A data set of your own, at least 8 images; by default the digits of {@link loadDigits}. */
  digits?: Digits | undefined;
  /** Chooses the split, the first weights and the order of training; 1 by default. */
  seed?: number | undefined;
  /** Hidden units, 32 by default. */
  hidden?: number | undefined;
  /** Epochs of training in floating point, 30 by default. */
  epochs?: number | undefined;
  /** Epochs of quantization-aware training after them, 20 by default. */
  qatEpochs?: number | undefined;
}

const DIGITS: ReaderTable<Digits> = { images: floats, labels: bytes };

const OPTIONS: ReaderTable<AccuracyOptions> = {
  digits: (name, value) => readFields(DIGITS, name, value),
  seed: offset,
  hidden: count,
  epochs: count,
  qatEpochs: count,
};

/** Test accuracy of a quantized classifier. */
export interface QatAccuracy {
  /** Bits of weights and activations. */
  bits: number;
  /** The fraction of test images that are classified correctly. */
  accuracy: number;
  /** The fraction of the original accuracy that is kept. */
  retention: number;
}

/** Test accuracy of a classifier quantized after training. */
export interface PtqAccuracy extends QatAccuracy {
  /** The calibration method. */
  method: CalibrationMethod;
}

/** The classifier and its accuracy in every form. */
export interface AccuracyReport {
  /** The number of training images. */
  numTrain: number;
  /** The number of test images. */
  numTest: number;
  /** The number of weights and biases. */
  numParameters: number;
  /** Test accuracy in floating point. */
  originalAccuracy: number;
  /** From 8 bits to 2, every calibration method. */
  ptq: PtqAccuracy[];
  /** From 8 bits to 2. */
  qat: QatAccuracy[];
}

/**
 * A classifier of handwritten digits (a 64-32-10 perceptron on scikit-learn's digits), trained on construction, to be
 * quantized after or during training. Native and wasm runs with the same seed give the same accuracies.
 *
 * It occupies memory of the engine until {@link free} is called or it is garbage-collected.
 */
export class AccuracyBenchmark {
  readonly #engine: EngineBenchmark;

  private constructor(engine: EngineBenchmark) {
    // JavaScript can call it all the same.
    if (typeof engine?.ptq !== 'function') {
      throw new QuantpressError('ARGUMENT', 'AccuracyBenchmark has no constructor: call AccuracyBenchmark.train()');
    }
    this.#engine = engine;
  }

  /**
   * Trains the classifier. The first call loads the module `quantpress-bench.wasm`, which contains the digits.
   *
   * @throws `RANGE` for options; `LENGTH`, `NON_FINITE`, `RANGE`, `NO_DATA` for digits of your own.
   */
  static async train(options: AccuracyOptions = {}): Promise<AccuracyBenchmark> {
    const { digits, ...training } = readOptions('AccuracyBenchmark', OPTIONS, options);
    await loadBench();
    return new AccuracyBenchmark(
      callBench((engine) => new engine.AccuracyBenchmark(digits?.images, digits?.labels, training)),
    );
  }

  /** Test accuracy in floating point. */
  get originalAccuracy(): number {
    return callBench(() => this.#engine.originalAccuracy());
  }

  /** Quantizes the trained classifier without further training. */
  ptq(bits: number, method: CalibrationMethod): PtqAccuracy {
    expectBits(bits);
    const chosen = methodReader('method', method);
    return callBench(() => this.#engine.ptq(bits, chosen)) as PtqAccuracy;
  }

  /** Continues training a copy of the classifier with fake quantization and learned steps. */
  qat(bits: number): QatAccuracy {
    expectBits(bits);
    return callBench(() => this.#engine.qat(bits)) as QatAccuracy;
  }

  /** All bit widths, all methods. */
  report(): AccuracyReport {
    return callBench(() => this.#engine.report()) as AccuracyReport;
  }

  /** Frees its memory in the engine; the benchmark can no longer be used. A second call does nothing. */
  free(): void {
    release(this.#engine, callBench);
  }

  /** {@link free}, for `using`. */
  [dispose](): void {
    this.free();
  }
}

/** A test compares them with the engine's report. */
const METHODS: readonly CalibrationMethod[] = [
  { kind: 'minMax' },
  { kind: 'movingAverage', momentum: 0.1 },
  { kind: 'percentile', lower: 0.5, upper: 99.5 },
  { kind: 'entropy', variant: 'tensorrt', bins: 2048, levels: 128 },
  { kind: 'entropy', variant: 'onnxruntime', bins: 2048, levels: 128 },
  { kind: 'mse', bins: 2048 },
];

/** The calibration methods that {@link AccuracyBenchmark.report} compares. Works without `init`. */
export function calibrationMethods(): CalibrationMethod[] {
  return METHODS.map((method) => ({ ...method }));
}

/** Trains, quantizes in every way, and reports. Takes seconds. */
export async function runAccuracyBenchmark(options: AccuracyOptions = {}): Promise<AccuracyReport> {
  const given = readOptions('runAccuracyBenchmark', OPTIONS, options);
  const benchmark = await AccuracyBenchmark.train(given);
  try {
    return benchmark.report();
  } finally {
    benchmark.free();
  }
}

/**
 * The images and labels that {@link AccuracyBenchmark} uses by default: scikit-learn's 1797 digits. The first call loads
 * the module `quantpress-bench.wasm`.
 */
export async function loadDigits(): Promise<{ images: Float32Array<ArrayBuffer>; labels: Uint8Array<ArrayBuffer> }> {
  await loadBench();
  return callBench((engine) => engine.bundledDigits());
}
