/**
 * The benchmarks as steps: each does a part of the work and returns a row, so that a worker can report progress. The
 * package does the measuring; tests/js/benchmarks.test.ts compares the rows with its functions that do everything at
 * once.
 */

import {
  AccuracyBenchmark,
  type CalibrationMethod,
  calibrationMethods,
  type Format,
  formats,
  generateGaussianWeights,
  generateMultiChannelWeights,
  generateUniformWeights,
  generateWeightsWithOutliers,
  dequantizeInto,
  type QuantBenchmarkResult,
  quantizeInto,
  runBenchmark,
  runFullBenchmarkSuite,
} from 'quantpress';

/** The progress: `done` of `total` parts, and the latest row. */
export interface Step<Row> {
  readonly done: number;
  readonly total: number;
  readonly rows: readonly Row[];
}

/** The request of each benchmark. */
export interface Orders {
  suite: { readonly size: number; readonly seed: number };
  speed: { readonly weights: number };
  accuracy: { readonly seed: number };
}
/** The row of each benchmark. */
export interface Rows {
  suite: SuiteRow;
  speed: SpeedRow;
  accuracy: AccuracyRow;
}
export type Kind = keyof Orders;

/** A scheme on a weight distribution. */
export interface SuiteRow extends QuantBenchmarkResult {
  /** The weights: `gaussian`, `uniform`, `outliers`, `channels`. */
  readonly data: string;
  /** The display name of the scheme. */
  readonly label: string;
}

const CHANNELS = 16; // rows of every tensor, as in `runFullBenchmarkSuite`

function* suite({ size, seed }: Orders['suite']): Generator<Step<SuiteRow>> {
  const row = Math.max(1, Math.floor(size / CHANNELS / 256)) * 256;
  const n = CHANNELS * row;
  const tensors: Record<string, () => Float32Array> = {
    gaussian: () => generateGaussianWeights(n, 0, 1, seed),
    uniform: () => generateUniformWeights(n, -1, 1, seed + 1),
    outliers: () => generateWeightsWithOutliers(n, 0.01, 10, seed + 2),
    channels: () => generateMultiChannelWeights(CHANNELS, row, 5, seed + 3),
  };
  // The smallest suite lists the schemes and builds the tables of the IQ formats.
  const all = runFullBenchmarkSuite(CHANNELS * 256, seed).results;
  let values = new Float32Array(0);
  let current = '';
  for (const [done, { name, scheme }] of all.entries()) {
    const [data = '', label = ''] = name.split(/: (.*)/s);
    if (data !== current) values = (tensors[data]?.() ?? values) as Float32Array<ArrayBuffer>;
    current = data;
    const result = runBenchmark(name, values, [CHANNELS, row], scheme);
    yield { done: done + 1, total: all.length, rows: [{ ...result, data, label }] };
  }
}

/** A format's speed, in bytes of F32 weights per second. */
export interface SpeedRow {
  readonly format: string;
  readonly bitsPerWeight: number;
  readonly encode?: number;
  readonly decode?: number;
}

/** The name of the row for a memory copy. */
export const COPY = 'copy';

function* speed({ weights }: Orders['speed']): Generator<Step<SpeedRow>> {
  const values = generateGaussianWeights(weights, 0, 1, 1);
  const copied = new Float32Array(weights);
  const all = formats().filter((format) => format.weights > 1 || format.canEncode);
  const rate = (work: () => void): number => (4 * weights) / seconds(work);
  const total = all.length + 1;
  yield { done: 1, total, rows: [{ format: COPY, bitsPerWeight: 32, decode: rate(() => copied.set(values)) }] };
  for (const [done, format] of all.entries()) yield { done: done + 2, total, rows: [speedOf(format, values, rate)] };
}

function speedOf(format: Format, values: Float32Array, rate: (work: () => void) => number): SpeedRow {
  const { name, bitsPerWeight, canEncode, needsImportance } = format;
  const row = Math.min(values.length, 4096);
  const bytes = new Uint8Array((values.length / format.weights) * format.bytes);
  const out = new Float32Array(values.length);
  const options = needsImportance ? { rowLength: row, importance: new Float32Array(row).fill(1) } : { rowLength: row };
  const encode = canEncode ? rate(() => quantizeInto(values, name, bytes, options)) : undefined;
  const decode = rate(() => dequantizeInto(bytes, name, out));
  return { format: name, bitsPerWeight, ...(encode !== undefined && { encode }), decode };
}

/** The seconds that `work` takes: the best of three batches that are long enough for a coarse clock. */
function seconds(work: () => void): number {
  const ENOUGH = 0.025;
  const SLOW = 0.15;
  const batch = (runs: number): number => {
    const from = performance.now();
    for (let i = 0; i < runs; i += 1) work();
    return (performance.now() - from) / 1000;
  };
  batch(1); // builds tables and compiles code
  let runs = 1;
  let time = batch(runs);
  if (time > SLOW) return time;
  while (time < ENOUGH) {
    runs *= 2;
    time = batch(runs);
  }
  return Math.min(time, batch(runs), batch(runs)) / runs;
}

/** Accuracy of the digit classifier in one form. */
export interface AccuracyRow {
  /** `original`, `qat`, or the name of a calibration method. */
  readonly method: string;
  /** 32 for the original. */
  readonly bits: number;
  /** The fraction of test images that are classified correctly. */
  readonly accuracy: number;
}

export const WIDTHS = [8, 7, 6, 5, 4, 3, 2] as const;

async function* accuracy({ seed }: Orders['accuracy']): AsyncGenerator<Step<AccuracyRow>> {
  const benchmark = await AccuracyBenchmark.train({ seed });
  try {
    const methods = calibrationMethods();
    const total = 1 + WIDTHS.length * (methods.length + 1);
    let done = 1;
    yield { done, total, rows: [{ method: 'original', bits: 32, accuracy: benchmark.originalAccuracy }] };
    for (const bits of WIDTHS) {
      for (const method of methods) {
        const row = { method: methodName(method), bits, accuracy: benchmark.ptq(bits, method).accuracy };
        done += 1;
        yield { done, total, rows: [row] };
      }
      done += 1;
      yield { done, total, rows: [{ method: QAT, bits, accuracy: benchmark.qat(bits).accuracy }] };
    }
  } finally {
    benchmark.free();
  }
}

export const QAT = 'trained with quantization';

/** The display name of a calibration method. */
export function methodName(method: CalibrationMethod): string {
  switch (method.kind) {
    case 'minMax':
      return 'min and max';
    case 'movingAverage':
      return 'moving average';
    case 'percentile':
      return 'percentile';
    case 'entropy':
      return method.variant === 'tensorrt' ? 'entropy, TensorRT' : 'entropy, ONNX Runtime';
    case 'mse':
      return 'least squares';
  }
}

/** The steps of each benchmark. The engine must be loaded. */
export const STEPS: {
  readonly [K in Kind]: (order: Orders[K]) => Iterable<Step<Rows[K]>> | AsyncIterable<Step<Rows[K]>>;
} = {
  suite,
  speed,
  accuracy,
};
