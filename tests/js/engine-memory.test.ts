/** Sizes that cannot fit, and exhausted memory: typed errors, and an engine that still works. */

import { readFileSync } from 'node:fs';
import {
  calibratePerTensor,
  Calibrator,
  compareError,
  dequantize,
  dequantizeTensor,
  ErrorAccumulator,
  FakeQuantize,
  findOutliers,
  generateGaussianWeights,
  generateMultiChannelWeights,
  generateUniformWeights,
  generateWeightsWithOutliers,
  histogram,
  init,
  MemoryTarget,
  openModel,
  packCodes,
  Q4_0,
  quantize,
  quantize4bit,
  quantizeModel,
  quantizeTensor,
  QuantParams,
  runFullBenchmarkSuite,
  validate,
} from 'quantpress';
import { beforeAll, describe, expect, test } from 'vitest';
import { floats, gguf, LLAMA, wave } from './support/gguf.js';
import { limited } from './support/limited.js';

/** The memory of the engine beyond its initial size: 12 MiB. */
const PAGES = 192;

beforeAll(() => {
  const module = readFileSync(new URL('../../dist/quantpress.wasm', import.meta.url));
  return init({ wasm: limited(module, PAGES) });
});

/** What a call throws. */
function thrown(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  return undefined;
}

describe('sizes that cannot fit are TOO_LARGE before anything is allocated', () => {
  // Untouched zeros take no memory. Each array has more than 2 GiB.
  const large = new Float32Array(2 ** 29 + 64);
  const bytes = new Uint8Array(2 ** 31 + 256);
  // The byte counts of these would be truncated modulo 2^32.
  const wrapped = new Float32Array(2 ** 30 + 64);
  const calls: Record<string, () => unknown> = {
    generateGaussianWeights: () => generateGaussianWeights(2 ** 31),
    'generateGaussianWeights at the last count': () => generateGaussianWeights(2 ** 32 - 1),
    generateUniformWeights: () => generateUniformWeights(2 ** 31),
    generateWeightsWithOutliers: () => generateWeightsWithOutliers(2 ** 31, 0.1, 3),
    generateMultiChannelWeights: () => generateMultiChannelWeights(2 ** 15, 2 ** 15),
    runFullBenchmarkSuite: () => runFullBenchmarkSuite(2 ** 31),
    quantize: () => quantize(large, 'Q8_0'),
    'quantize of more than 4 GiB': () => quantize(wrapped, 'Q8_0'),
    'importance of more than 4 GiB': () => quantize(new Float32Array(32), 'Q4_0', { importance: wrapped }),
    dequantize: () => dequantize(bytes, 'Q4_0'),
    validate: () => validate(bytes, 'F16'),
    quantize4bit: () => quantize4bit(large),
    quantizeTensor: () => quantizeTensor(large, [large.length], { bits: 8 }),
    packCodes: () => packCodes(bytes, 4),
    compareError: () => compareError(large, large),
    findOutliers: () => findOutliers(large),
    histogram: () => histogram(large),
    'Q4_0.quantize': () => Q4_0.quantize(large),
    'Q4_0.fromBytes': () => Q4_0.fromBytes(bytes, 32),
    'QuantParams.fromBytes': () => QuantParams.fromBytes(bytes),
    'Calibrator.fromBytes': () => Calibrator.fromBytes(bytes),
    'Calibrator.observe': () => Calibrator.minMax(8, 'symmetric').observe(large),
    'FakeQuantize.calibrate': () => FakeQuantize.q8().calibrate(large),
  };

  test.each(Object.entries(calls))('%s', (_, call) => {
    const before = Calibrator.minMax(8, 'symmetric');
    expect(thrown(call)).toMatchObject({ name: 'QuantpressError', code: 'TOO_LARGE', kind: 'Limit' });
    // The engine was not replaced: nothing was lost.
    before.observe(Float32Array.of(1, 2));
    expect(before.numBatches).toBe(1);
    before.free();
  });
});

test('exhausted memory is NO_MEMORY, and existing objects stay valid', () => {
  const calibrator = Calibrator.minMax(8, 'symmetric');
  calibrator.observe(Float32Array.of(-3, 4));
  const count = 1 << 22;
  expect(thrown(() => generateGaussianWeights(count))).toMatchObject({
    code: 'NO_MEMORY',
    details: { bytes: 4 * count },
  });
  expect(calibrator.numBatches).toBe(1);
  calibrator.free();
});

describe('after memory has run out', () => {
  const weights = Float32Array.from({ length: 256 }, (_, index) => wave(index));
  const expected = () => quantize(weights, 'Q4_K');
  /** More than the memory, but less than the maximum length of an array. */
  const exhaust = () => thrown(() => quantize(new Float32Array(1 << 22), 'Q8_0'));

  test('the error is typed, and the next call works, with or without init()', async () => {
    const before = expected();
    for (let round = 0; round < 3; round++) {
      expect(exhaust()).toMatchObject({ name: 'QuantpressError', code: 'NO_MEMORY', kind: 'Limit' });
      if (round === 1) await init();
      expect(expected()).toEqual(before);
      expect(dequantize(before, 'Q4_K')).toHaveLength(256);
      expect(dequantizeTensor(quantizeTensor(weights, [256], { bits: 8 }))).toHaveLength(256);
    }
  });

  test('objects of the stopped engine are STALE, also as arguments, and their free() does nothing', async () => {
    const [calibrator, other] = [Calibrator.minMax(8, 'symmetric'), Calibrator.minMax(8, 'symmetric')];
    const fake = FakeQuantize.q8();
    const accumulator = new ErrorAccumulator();
    const model = await openModel(gguf(LLAMA, [floats('blk.0.ffn_up.weight', [256, 4], wave)]));
    calibrator.observe(weights);
    fake.calibrate(weights);
    exhaust();
    // Objects of the new engine have the addresses of old ones.
    const [fresh, another] = [Calibrator.minMax(8, 'symmetric'), Calibrator.minMax(4, 'symmetric')];
    fresh.observe(weights);
    const stale = { name: 'QuantpressError', code: 'STALE', kind: 'Internal' };
    expect(thrown(() => calibrator.observe(weights))).toMatchObject(stale);
    expect(thrown(() => calibrator.compute())).toMatchObject(stale);
    expect(thrown(() => calibrator.toBytes())).toMatchObject(stale);
    expect(thrown(() => fresh.merge(other))).toMatchObject(stale);
    expect(thrown(() => fake.forward(weights))).toMatchObject(stale);
    expect(thrown(() => accumulator.add(weights, weights))).toMatchObject(stale);
    // A model is in a module of its own.
    const converted = await quantizeModel(model, new MemoryTarget(), 'Q8_0', { workers: 0 });
    expect(converted.tensors).toHaveLength(1);
    for (const object of [other, calibrator]) expect(thrown(() => object.free())).toBeUndefined();
    await model.close();
    // That neither freed nor changed objects of the new engine.
    expect(fresh.compute().scale).toBe(calibratePerTensor(weights, 8).scales[0]);
    expect([fresh.numBatches, another.numBatches]).toEqual([1, 0]);
  });

  test('a reopened model can be converted', async () => {
    const bytes = gguf(LLAMA, [floats('blk.0.ffn_up.weight', [256, 4], wave)]);
    exhaust();
    const model = await openModel(bytes);
    const target = new MemoryTarget();
    const { tensors } = await quantizeModel(model, target, 'Q8_0', { workers: 0 });
    expect(tensors).toHaveLength(1);
    await model.close();
  });
});
