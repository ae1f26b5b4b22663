import { readFileSync } from 'node:fs';
import { Calibrator, calibrateMinMax, calibratePercentile, calibrationParams, init, percentile } from 'quantpress';
import type { CalibrationMethod } from 'quantpress';
import { beforeAll, describe, expect, test } from 'vitest';
import { fromBase64 } from './support/golden.js';

beforeAll(() => init());

/** A golden file of tests/golden/calibration. */
function golden(name: string) {
  return JSON.parse(readFileSync(`tests/golden/calibration/${name}.json`, 'utf8'));
}

/** Little-endian floats in base64. */
function floats(base64: string): Float32Array {
  return new Float32Array(fromBase64(base64).buffer);
}

const methods: CalibrationMethod[] = [
  { kind: 'minMax' },
  { kind: 'percentile', lower: 1, upper: 99 },
  { kind: 'movingAverage', momentum: 0.1 },
  { kind: 'entropy', variant: 'tensorrt', bins: 2048, levels: 128 },
  { kind: 'entropy', variant: 'onnxruntime', bins: 2048, levels: 128 },
  { kind: 'mse', bins: 2048 },
];

const wave = (length: number, reach: number) => Float32Array.from({ length }, (_, i) => Math.sin(i * 1.7) * reach);

describe('Calibrator', () => {
  test("percentiles are NumPy's", () => {
    for (const { input, percentiles, linear, data } of golden('numpy-percentile').cases) {
      const values = floats(input);
      const got = percentiles.map((percent: number) => percentile(values, percent));
      expect(got, data).toEqual(linear);
    }
    expect(percentile(new Float32Array(), 50)).toBeUndefined();
    expect(() => percentile(wave(5, 1), 101)).toThrow('percent is 101, and must be from 0 to 100');
  });

  test("entropy ranges are ONNX Runtime's", () => {
    const file = golden('onnxruntime');
    for (const { data, options, range } of file.batch_by_batch.cases) {
      const { num_bins: bins, num_quantized_bins: levels } = options;
      const calibrator = new Calibrator({ kind: 'entropy', variant: 'onnxruntime', bins, levels }, 8, 'symmetric');
      for (const batch of file.data[data]) calibrator.observe(floats(batch));
      const { observedMin, observedMax } = calibrator.compute();
      expect([observedMin, observedMax], `${data} ${bins}`).toEqual(range);
      calibrator.free();
    }
  });

  test("histogram observers are PyTorch's", () => {
    for (const item of golden('torch-observers').cases) {
      if (item.observer !== 'histogram_mse') continue;
      const range = { qmin: item.quant_min, qmax: item.quant_max };
      const calibrator = Calibrator.mse(8, item.qscheme === 'per_tensor_symmetric' ? 'symmetric' : 'asymmetric', {
        range,
      });
      for (const batch of item.batches) calibrator.observe(floats(batch));
      const { scale, zeroPoint } = calibrator.compute();
      expect(Math.abs(scale / item.scale - 1)).toBeLessThan(5e-7);
      expect(zeroPoint).toBe(item.zero_point);
      calibrator.free();
    }
  });

  test.each(methods)('$kind streams, merges, resumes and resets', (method) => {
    const [whole, first, second] = [0, 1, 2].map(() => new Calibrator(method, 8, 'asymmetric')) as Calibrator[];
    for (const part of [wave(300, 2), wave(500, 2)]) whole!.observe(part);
    first!.observe(wave(300, 2));
    second!.observe(wave(500, 2));
    const resumed = Calibrator.fromBytes(first!.toBytes());
    expect(resumed.compute()).toEqual(first!.compute());
    resumed.merge(second!);
    expect(resumed.numBatches).toBe(2);
    expect(resumed.method).toEqual(method);
    expect(resumed.extent).toEqual(whole!.extent);
    const [a, b] = [resumed.compute(), whole!.compute()];
    expect(Math.abs(a.scale / b.scale - 1)).toBeLessThan(0.05);
    resumed.reset();
    expect(resumed.hasData).toBe(false);
    expect(() => resumed.compute()).toThrow(expect.objectContaining({ code: 'NO_DATA' }));
    for (const calibrator of [whole!, first!, second!, resumed]) calibrator.free();
  });

  test('a NaN or infinity is rejected with its index, or skipped and counted', () => {
    const refusing = Calibrator.minMax(8, 'symmetric');
    refusing.observe(Float32Array.of(-3, 1));
    const batch = Float32Array.of(1, 2, Number.NaN, 9);
    expect(() => refusing.observe(batch)).toThrow(
      expect.objectContaining({ code: 'NON_FINITE', details: expect.objectContaining({ index: 2 }) }),
    );
    expect(refusing.compute().observedMax).toBe(1);
    const skipping = Calibrator.minMax(8, 'symmetric', { nonFinite: 'skip' });
    skipping.observe(batch);
    expect([skipping.numSkipped, skipping.compute().observedMax]).toEqual([1, 9]);
    refusing.free();
    skipping.free();
  });

  test('arguments out of range are rejected', () => {
    for (const bits of [0, 1, 9, 258, 2.5]) {
      expect(() => Calibrator.minMax(bits, 'symmetric')).toThrow(expect.objectContaining({ code: 'RANGE' }));
      expect(() => calibrateMinMax(wave(9, 1), bits, 'symmetric')).toThrow(expect.objectContaining({ code: 'RANGE' }));
    }
    expect(() => Calibrator.percentile(8, 'symmetric', 99, 1)).toThrow(expect.objectContaining({ code: 'RANGE' }));
    expect(() => new Calibrator({ kind: 'psychic' } as never, 8, 'symmetric')).toThrow(
      expect.objectContaining({ code: 'ARGUMENT' }),
    );
    expect(() => Calibrator.fromBytes(Uint8Array.of(1, 2, 3))).toThrow(expect.objectContaining({ kind: 'Format' }));
    expect(() => Calibrator.minMax(8, 'symmetric').observe([1, 2] as never)).toThrow(
      expect.objectContaining({ code: 'ARGUMENT' }),
    );
  });

  test('calibrate() gives the same result in one call', () => {
    const result = calibrateMinMax(Float32Array.of(10, 11), 8, 'asymmetric');
    expect([result.zeroPoint, result.range]).toEqual([0, { qmin: 0, qmax: 255 }]);
    expect(result.scale).toBe(Math.fround(11 / 255));
    expect(calibratePercentile(wave(1000, 1), 8, 'symmetric', 1, 99).scale).toBeLessThan(1 / 127);
    expect(calibrationParams(result)).toMatchObject({
      bits: 8,
      mode: 'asymmetric',
      granularity: { kind: 'perTensor' },
    });
  });
});
