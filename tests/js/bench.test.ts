import {
  AccuracyBenchmark,
  accuracyRetention,
  BenchmarkSuite,
  calibrationMethods,
  compareBitWidthDegradation,
  generateGaussianWeights,
  generateMultiChannelWeights,
  generateUniformWeights,
  generateWeightsWithOutliers,
  init,
  loadDigits,
  runAccuracyBenchmark,
  runBenchmark,
  runFullBenchmarkSuite,
} from 'quantpress';
import { beforeAll, expect, test } from 'vitest';

beforeAll(() => init());

test('a seed gives the same numbers as natively', () => {
  // tests/bench.rs has them too.
  const bits = new Uint32Array(generateGaussianWeights(4, 0, 1, 42).buffer);
  expect([...bits].map((n) => n.toString(16))).toEqual(['3f559b14', 'bf03d49c', '3fb4306b', '3eedcd07']);
  expect(generateGaussianWeights(64)).not.toEqual(generateGaussianWeights(64));
  expect(generateUniformWeights(100, 2, 3, 1).every((x) => x >= 2 && x <= 3)).toBe(true);
  const outliers = generateWeightsWithOutliers(10_000, 0.02, 50, 1).filter((x) => Math.abs(x) === 50);
  expect(outliers).toHaveLength(200);
  expect(outliers.some((x) => x > 0) && outliers.some((x) => x < 0)).toBe(true);
  expect(generateMultiChannelWeights(4, 8, 5, 1)).toHaveLength(32);
  expect(() => generateUniformWeights(1, 2, 1)).toThrow(expect.objectContaining({ code: 'RANGE' }));
  expect(() => generateGaussianWeights(1, 0, 1, -1)).toThrow(expect.objectContaining({ code: 'RANGE' }));
});

test('the suite ranks every scheme', () => {
  const suite = runFullBenchmarkSuite(4096, 11);
  expect(suite.results.length).toBeGreaterThan(4 * 35);
  const quality = suite.sortedByQuality().map(({ qualityScore }) => qualityScore);
  expect(quality).toEqual([...quality].sort((a, b) => b - a));
  expect(suite.bestBySqnr()!.sqnrDb).toBe(Math.max(...suite.results.map(({ sqnrDb }) => sqnrDb)));
  expect(suite.bestByMse()!.mse).toBe(Math.min(...suite.results.map(({ mse }) => mse)));
  expect(suite.results.every(({ encodeMs, decodeMs }) => encodeMs >= 0 && decodeMs >= 0)).toBe(true);
  const own = new BenchmarkSuite();
  expect(own.bestBySqnr()).toBeUndefined();
  own.add(runBenchmark('mine', generateGaussianWeights(256, 0, 1, 1), [1, 256], { kind: 'block', format: 'Q8_0' }));
  expect(own.bestByMse()).toMatchObject({ name: 'mine', memoryBytes: 272 });
});

test('8 bits have a degradation of 1, and retention is the ratio of the metrics', () => {
  expect(compareBitWidthDegradation(generateGaussianWeights(800, 0, 1, 1)).at(-1)).toMatchObject({
    bits: 8,
    degradation: 1,
  });
  expect(accuracyRetention(0.8, 0.6)).toBe(0.6 / 0.8);
  expect(() => accuracyRetention(0, 1)).toThrow(expect.objectContaining({ code: 'RANGE' }));
});

test('the digits data set is complete', async () => {
  const { images, labels } = await loadDigits();
  expect([images.length, labels.length]).toEqual([1797 * 64, 1797]);
  expect([...images.subarray(0, 8)].map((ink) => ink * 16)).toEqual([0, 0, 5, 13, 9, 1, 0, 0]);
});

test('QAT beats the best PTQ at 2 and 3 bits', async () => {
  const report = await runAccuracyBenchmark();
  expect(report).toMatchObject({ numTrain: 1347, numTest: 450, numParameters: 2410 });
  expect(report.originalAccuracy).toBeGreaterThan(0.95);
  for (const bits of [2, 3]) {
    const ptq = Math.max(...report.ptq.filter((row) => row.bits === bits).map(({ accuracy }) => accuracy));
    const qat = report.qat.find((row) => row.bits === bits)!.accuracy;
    console.error(
      `${bits} bits: PTQ ${(100 * ptq).toFixed(2)}%, QAT ${(100 * qat).toFixed(2)}% of the test digits correct`,
    );
    expect(qat).toBeGreaterThan(ptq);
  }
});

test('another data set replaces the digits', async () => {
  const { images, labels } = await loadDigits();
  const digits = { images: images.subarray(0, 200 * 64), labels: labels.subarray(0, 200) };
  const options = { epochs: 2, qatEpochs: 1, hidden: 8 };
  expect(await runAccuracyBenchmark({ ...options, digits })).toMatchObject({ numTrain: 150, numTest: 50 });
  const own = await AccuracyBenchmark.train({ ...options, digits: { images, labels } });
  const bundled = await AccuracyBenchmark.train(options);
  expect(own.originalAccuracy).toBe(bundled.originalAccuracy);
  own.free();
  bundled.free();
  const train = (images: Float32Array, labels: Uint8Array) => AccuracyBenchmark.train({ digits: { images, labels } });
  await expect(train(images, labels.subarray(1))).rejects.toMatchObject({ code: 'LENGTH' });
  await expect(train(new Float32Array(64), Uint8Array.of(10))).rejects.toMatchObject({ code: 'RANGE' });
  await expect(train(new Float32Array(64).fill(NaN), Uint8Array.of(1))).rejects.toMatchObject({ code: 'NON_FINITE' });
  await expect(train(new Float32Array(64), Uint8Array.of(1))).rejects.toMatchObject({ code: 'NO_DATA' });
  await expect(AccuracyBenchmark.train({ digits: { images } as never })).rejects.toMatchObject({ code: 'ARGUMENT' });
});

test('stepwise training gives the same report as one call', async () => {
  const options = { epochs: 2, qatEpochs: 1, hidden: 8, seed: 3 };
  const benchmark = await AccuracyBenchmark.train(options);
  const report = await runAccuracyBenchmark(options);
  expect(benchmark.originalAccuracy).toBe(report.originalAccuracy);
  // They are known before the engine is loaded, and must be those it uses.
  expect(calibrationMethods()).toEqual(report.ptq.filter((row) => row.bits === 8).map(({ method }) => method));
  const method = calibrationMethods()[0]!;
  expect(benchmark.ptq(3, method)).toEqual(report.ptq.find((row) => row.bits === 3));
  expect(benchmark.qat(3)).toEqual(report.qat.find((row) => row.bits === 3));
  expect(() => benchmark.qat(1)).toThrow(expect.objectContaining({ code: 'RANGE' }));
  await expect(AccuracyBenchmark.train({ epochs: 0 })).rejects.toMatchObject({ code: 'RANGE' });
  benchmark.free();
});
