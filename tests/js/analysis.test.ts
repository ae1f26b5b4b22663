import * as quantpress from 'quantpress';
import {
  analyzeError,
  analyzeError4bit,
  analyzeErrorFormat,
  analyzeErrorScheme,
  analyzeOutlierImpact,
  calibrateMinMax,
  calibratePerChannel,
  calibrationParams,
  compareBitWidths,
  compareError,
  ErrorAccumulator,
  errorHistogram,
  errorWithinBounds,
  findOutliers,
  generateGaussianWeights,
  histogram,
  init,
  rmse,
  roundTrip,
  scaleSensitivity,
  scaleSweep,
  theoreticalMaxError,
  theoreticalSqnr,
  worstErrorInSteps,
  worstErrors,
} from 'quantpress';
import { beforeAll, expect, test } from 'vitest';

beforeAll(() => init());

test('statistics of tiles add up to those of the whole tensor', () => {
  const [x, y] = [Float32Array.of(1, -2, 3, 0), Float32Array.of(1.5, -2, 2, 0.25)];
  const whole = compareError(x, y, { outlierThreshold: 0.4 });
  expect(whole).toMatchObject({ mse: 1.3125 / 4, mae: 1.75 / 4, maxError: 1, outlierRate: 0.5, numSamples: 4 });
  expect(rmse(whole)).toBe(Math.sqrt(1.3125 / 4));
  const [first, second] = [
    new ErrorAccumulator({ outlierThreshold: 0.4 }),
    new ErrorAccumulator({ outlierThreshold: 0.4 }),
  ];
  first.add(x.subarray(0, 1), y.subarray(0, 1));
  second.add(x.subarray(1), y.subarray(1));
  first.merge(second);
  expect([first.length, first.stats()]).toEqual([4, whole]);
  expect(compareError(x, x).sqnrDb).toBe(Number.POSITIVE_INFINITY);
  expect(() => new ErrorAccumulator().stats()).toThrow(expect.objectContaining({ code: 'NO_DATA' }));
  expect(() => compareError(x, y.subarray(1))).toThrow(expect.objectContaining({ code: 'LENGTH' }));
});

test('every scheme is measured by the same definitions', () => {
  const weights = generateGaussianWeights(16 * 256, 0, 1, 3);
  const shape = [16, 256];
  const q4 = analyzeErrorFormat(weights, 'Q4_0', { rowLength: 256 });
  expect(analyzeErrorScheme(weights, shape, { kind: 'block', format: 'Q4_0' })).toEqual(q4);
  const decoded = quantpress.dequantize(quantpress.quantize(weights, 'Q4_0', { rowLength: 256 }), 'Q4_0');
  expect(compareError(weights, decoded)).toEqual(q4);
  expect(roundTrip(weights, shape, { kind: 'block', format: 'Q4_0' })).toEqual(decoded);
  expect(analyzeErrorFormat(weights, 'Q8_0', { rowLength: 256 }).sqnrDb).toBeGreaterThan(q4.sqnrDb + 20);
  expect(analyzeError4bit(weights).sqnrDb).toBeGreaterThan(analyzeError4bit(weights, { dataType: 'int4' }).sqnrDb);
  const scheme = { kind: 'affine', bits: 8, mode: 'symmetric', granularity: { kind: 'perChannel', axis: 0 } } as const;
  expect(analyzeErrorScheme(weights, shape, scheme).sqnrDb).toBeGreaterThan(35);
  expect(() => analyzeErrorScheme(weights, shape, { kind: 'magic' } as never)).toThrow(
    expect.objectContaining({ code: 'ARGUMENT' }),
  );
  expect(() => analyzeErrorScheme(weights, [3], scheme)).toThrow(expect.objectContaining({ code: 'LENGTH' }));
});

test('an affine scheme has the options and defaults of quantizeTensor', () => {
  const weights = generateGaussianWeights(16 * 64, 0, 1, 8);
  const shape = [16, 64];
  const decoded = new Set<number>();
  for (const range of ['signed', 'narrow', 'unsigned', { qmin: -8, qmax: 3 }] as const) {
    for (const rule of ['span', 'positive', 'noClipping', undefined] as const) {
      const tensor = quantpress.quantizeTensor(weights, shape, { bits: 4, range, rule });
      const values = roundTrip(weights, shape, { kind: 'affine', bits: 4, range, rule });
      expect(values).toEqual(quantpress.dequantizeTensor(tensor));
      decoded.add(compareError(weights, values).mse);
    }
  }
  expect(decoded.size).toBeGreaterThan(5);
  const { scheme } = quantpress.runBenchmark('x', weights, shape, { kind: 'affine', bits: 4, mode: 'asymmetric' });
  expect(scheme).toEqual({
    kind: 'affine',
    bits: 4,
    mode: 'asymmetric',
    granularity: { kind: 'perTensor' },
    range: { qmin: 0, qmax: 15 },
    rule: 'span',
  });
  const wrong = { kind: 'affine', bits: 4, range: { qmin: -9, qmax: 7 } } as const;
  expect(() => roundTrip(weights, shape, wrong)).toThrow(expect.objectContaining({ code: 'RANGE' }));
  expect(() => roundTrip(weights, shape, { ...wrong, range: 'wide' as never })).toThrow(
    expect.objectContaining({ code: 'ARGUMENT' }),
  );
});

test('affine parameters stay within their error bounds, and sensitivity measures each change', () => {
  const weights = generateGaussianWeights(1000, 0, 1, 4);
  const params = calibrationParams(calibrateMinMax(weights, 4, 'symmetric'));
  const stats = analyzeError(weights, [1000], params, { outlierThreshold: 0.01 });
  expect(theoreticalMaxError(params)).toBe(params.scales[0]! / 2);
  expect(errorWithinBounds(stats, params)).toBe(true);
  expect(worstErrorInSteps(weights, [1000], params)).toBeLessThanOrEqual(0.50001);
  const [half, same] = scaleSweep(weights, [1000], params, [0.1, 1]);
  expect(same!.stats.mse).toBe(stats.mse);
  expect(half!.stats.mse).toBeGreaterThan(stats.mse);
  expect(scaleSensitivity(weights, [1000], params, 0.2).originalMse).toBe(stats.mse);
});

test('per-channel parameters equal those of calibratePerChannel', () => {
  const weights = generateGaussianWeights(8 * 100, 0, 1, 6);
  const params = calibratePerChannel(weights, [8, 100], 0, 4, 'asymmetric');
  const scheme = { kind: 'affine', bits: 4, mode: 'asymmetric', granularity: { kind: 'perChannel', axis: 0 } } as const;
  expect(analyzeError(weights, [8, 100], params)).toEqual(analyzeErrorScheme(weights, [8, 100], scheme));
  expect(worstErrorInSteps(weights, [8, 100], params)).toBeLessThanOrEqual(0.50001);
});

test('theoretical SQNR, bit widths, outliers and histograms have their expected values', () => {
  expect(theoreticalSqnr(8, 'sine')).toBeCloseTo(49.926, 3);
  expect(theoreticalSqnr(8, 'uniform')).toBeCloseTo(48.165, 3);
  expect(() => theoreticalSqnr(300, 'sine')).toThrow(expect.objectContaining({ code: 'RANGE' }));
  const weights = generateGaussianWeights(5000, 0, 1, 5);
  weights[7] = 80;
  const widths = compareBitWidths(weights);
  expect(widths.map(({ bits }) => bits)).toEqual([2, 3, 4, 5, 6, 7, 8]);
  expect(widths[2]!.memoryBytes).toBe(2504);
  expect(findOutliers(weights, 8)).toMatchObject([{ index: 7, value: 80 }]);
  expect(analyzeOutlierImpact(weights, 99.9, 3).numClipped).toBe(5);
  const counts = histogram(weights, 10);
  expect(counts.counts.reduce((sum, n) => sum + n)).toBe(5000);
  expect(counts.max).toBe(80);
  const decoded = roundTrip(weights, [5000], {
    kind: 'affine',
    bits: 4,
    mode: 'symmetric',
    granularity: { kind: 'perTensor' },
  });
  expect(worstErrors(weights, decoded, 3)).toHaveLength(3);
  expect(errorHistogram(weights, decoded, 8).counts.reduce((sum, n) => sum + n)).toBe(5000);
});
