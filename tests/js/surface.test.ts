/**
 * Common properties of every export: the message for a wrong number, and arrays of another realm.
 */

import { readFileSync } from 'node:fs';
import { createContext, runInContext } from 'node:vm';
import * as quantpress from 'quantpress';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { thrownBy } from './support/thrown-by.js';
import { WHALE, WHALE_IMATRIX } from './support/whale.js';

let model: quantpress.Model;

beforeAll(async () => {
  await quantpress.init();
  model = await quantpress.openModel(WHALE);
});
afterAll(() => model.close());

const values = Float32Array.from({ length: 64 }, (_, index) => Math.sin(index));
describe('numbers', () => {
  const params = { bits: 8, mode: 'symmetric', granularity: { kind: 'perTensor' }, range: { qmin: -127, qmax: 127 } };
  const arrays = { scales: Float32Array.of(1), zeroPoints: new Int32Array() };
  const { FakeQuantConfig } = quantpress;
  const result = { scale: 1, zeroPoint: 0, mode: 'symmetric', range: { qmin: -127, qmax: 127 } };

  /** Every function with a width of integer codes. */
  const widths: [string, (bits: never) => unknown][] = [
    ['calibrateTensor', (bits) => quantpress.calibrateTensor(values, [64], { bits })],
    ['calibratePerTensor', (bits) => quantpress.calibratePerTensor(values, bits)],
    ['calibratePerChannel', (bits) => quantpress.calibratePerChannel(values, [8, 8], 0, bits)],
    ['calibratePerGroup', (bits) => quantpress.calibratePerGroup(values, [8, 8], 4, bits)],
    ['quantizeTensor', (bits) => quantpress.quantizeTensor(values, [64], { bits })],
    ['compareGranularities', (bits) => quantpress.compareGranularities(values, [64], bits, 'symmetric', [])],
    ['packedLength', (bits) => quantpress.packedLength(4, bits)],
    ['packCodes', (bits) => quantpress.packCodes(new Uint8Array(4), bits)],
    ['unpackCodes', (bits) => quantpress.unpackCodes(new Uint8Array(4), bits, 4, true)],
    ['QuantParams', (bits) => new quantpress.QuantParams({ ...params, ...arrays, bits } as never)],
    ['scheme', (bits) => quantpress.roundTrip(values, [64], { ...params, kind: 'affine', bits } as never)],
    [
      'analyzeErrorScheme',
      (bits) =>
        quantpress.analyzeErrorScheme(values, [64], {
          kind: 'affine',
          mode: 'symmetric',
          granularity: { kind: 'perTensor' },
          bits,
        }),
    ],
    ['analyzeOutlierImpact', (bits) => quantpress.analyzeOutlierImpact(values, 99, bits)],
    ['Calibrator', (bits) => quantpress.Calibrator.minMax(bits, 'symmetric')],
    ['calibrateMinMax', (bits) => quantpress.calibrateMinMax(values, bits, 'symmetric')],
    ['calibratePercentile', (bits) => quantpress.calibratePercentile(values, bits, 'symmetric', 1, 99)],
    ['calibrationParams', (bits) => quantpress.calibrationParams({ ...result, bits } as never)],
    ['fakeQuantize', (bits) => quantpress.fakeQuantize(values, bits, 'symmetric')],
    ['fakeQuantizeInto', (bits) => quantpress.fakeQuantizeInto(values, bits, 'symmetric', new Float32Array(64))],
    ['FakeQuantConfig.symmetric', (bits) => FakeQuantConfig.symmetric(bits)],
    ['FakeQuantConfig.asymmetric', (bits) => FakeQuantConfig.asymmetric(bits)],
    ['FakeQuantConfig.signed', (bits) => FakeQuantConfig.signed(bits, 'symmetric')],
    ['FakeQuantConfig.unsigned', (bits) => FakeQuantConfig.unsigned(bits, 'symmetric')],
    ['FakeQuantize', (bits) => new quantpress.FakeQuantize({ ...FakeQuantConfig.symmetric(8), bits })],
    [
      'LearnedFakeQuantize',
      (bits) => quantpress.LearnedFakeQuantize.fromValues({ ...FakeQuantConfig.symmetric(8), bits }, values),
    ],
    ['Pact', (bits) => new quantpress.Pact(1, bits)],
  ];

  test.each(widths.filter(([name]) => name !== 'scheme'))('%s has one message for a wrong width', async (_, call) => {
    for (const bits of [0, 1, 9, 260, -4, 4.5, 2 ** 40, Number.NaN]) {
      const error = await thrownBy(() => call(bits as never));
      expect(error).toMatchObject({ code: 'RANGE', details: { bits, minimum: 2, maximum: 8 } });
      expect((error as Error).message).toMatch(
        new RegExp(`^([a-z]+\\.)?bits is ${bits}, and must be a whole number from 2 to 8$`),
      );
    }
    for (const [bits, shown] of [
      ['8', "'8'"],
      [null, 'null'],
      [8n, 'the BigInt 8'],
      [{}, 'an object'],
    ] as const) {
      const error = await thrownBy(() => call(bits as never));
      expect(error).toMatchObject({ code: 'ARGUMENT' });
      expect((error as Error).message).toMatch(/bits is .*, and must be a whole number from 2 to 8$/);
      expect((error as Error).message).toContain(`bits is ${shown}, `);
    }
  });

  test.each<[string, () => unknown, string]>([
    [
      'axis',
      () => quantpress.calibratePerChannel(values, [8, 8], 2, 8),
      'granularity.axis is 2, and must be a whole number from -2 to 1',
    ],
    [
      'axis from the end',
      () => quantpress.calibratePerChannel(values, [8, 8], -3, 8),
      'granularity.axis is -3, and must be a whole number from -2 to 1',
    ],
    [
      'axis without a shape',
      () =>
        new quantpress.FakeQuantize(FakeQuantConfig.q8Symmetric(), { granularity: { kind: 'perChannel', axis: -1 } }),
      'granularity.axis is -1, and must be a whole number from 0 to 4294967295',
    ],
    [
      'group size',
      () => quantpress.calibratePerGroup(values, [8, 8], -1, 8),
      'granularity.size is -1, and must be a whole number from 1 to 4294967295',
    ],
    [
      'no group size',
      () => quantpress.calibratePerGroup(values, [8, 8], 0, 8),
      'granularity.size is 0, and must be a whole number from 1 to 4294967295',
    ],
    [
      'shape',
      () => quantpress.calibrateTensor(values, [8, -8], { bits: 8 }),
      'shape[1] is -8, and must be a whole number from 0 to 4294967295',
    ],
    [
      'row length',
      () => quantpress.quantize(values, 'Q8_0', { rowLength: -1 }),
      'rowLength is -1, and must be a whole number from 0 to 4294967295',
    ],
    [
      'block size',
      () => quantpress.quantize4bit(values, { blockSize: -1 as never }),
      'blockSize is -1, and must be a whole number from 0 to 4294967295',
    ],
    [
      'seed',
      () => quantpress.generateGaussianWeights(1, 0, 1, -1),
      'seed is -1, and must be a whole number from 0 to 2^53 - 1',
    ],
    [
      'single precision',
      () => quantpress.generateGaussianWeights(1, 1e39),
      'mean is 1e+39, and must be a finite number within the range of f32',
    ],
    [
      'workers',
      () => quantpress.analyzeModel(model, { workers: -1 }),
      'workers is -1, and must be a whole number from 0 to 4294967295',
    ],
    [
      'bits of a signal',
      () => quantpress.theoreticalSqnr(300, 'sine'),
      'bits is 300, and must be a whole number from 1 to 32',
    ],
    ['percentage', () => quantpress.percentile(values, 101), 'percent is 101, and must be from 0 to 100'],
    ['code', () => quantpress.packCodes(Uint8Array.of(1, 100), 4), 'code 1 is 100, which does not fit 4 bits'],
    ['signed code', () => quantpress.packCodes(Int8Array.of(-8, 8), 4), 'code 1 is 8, which does not fit 4 bits'],
  ])('%s', async (_, call, message) => {
    const error = await thrownBy(call);
    expect(error).toMatchObject({ code: 'RANGE', message });
  });

  test('a negative axis counts from the last', () => {
    const last = quantpress.calibratePerChannel(values, [4, 16], -1, 8);
    expect(last).toEqual(quantpress.calibratePerChannel(values, [4, 16], 1, 8));
    expect(last.granularity).toEqual({ kind: 'perChannel', axis: 1 });
    const granularity = { kind: 'perChannel', axis: -2 } as const;
    expect(quantpress.quantizeTensor(values, [4, 16], { bits: 4, granularity }).params.granularity.kind).toBe(
      'perChannel',
    );
    const scheme = { kind: 'affine', bits: 4, mode: 'symmetric', granularity } as const;
    const first = { ...scheme, granularity: { kind: 'perChannel', axis: 0 } } as const;
    expect(quantpress.roundTrip(values, [4, 16], scheme)).toEqual(quantpress.roundTrip(values, [4, 16], first));
    const config = FakeQuantConfig.symmetric(4);
    expect(quantpress.LearnedFakeQuantize.fromValues(config, values, [4, 16], granularity).scales).toHaveLength(4);
  });
});

describe('wrong values', () => {
  const params = () => quantpress.calibratePerTensor(values, 4);

  test('rmse of two arrays is an error, rmse of statistics is a number', async () => {
    const error = await thrownBy(() => (quantpress.rmse as (a: unknown, b: unknown) => number)(values, values));
    expect(error).toMatchObject({
      code: 'ARGUMENT',
      message: 'stats is a Float32Array, and must be the result of compareError(a, b)',
    });
    expect(await thrownBy(() => quantpress.rmse({} as never))).toMatchObject({ code: 'ARGUMENT' });
    const moved = values.map((x) => x + 0.5);
    expect(quantpress.rmse(quantpress.compareError(values, moved))).toBeCloseTo(0.5, 6);
  });

  test('percentiles accept finite values from 0 to 100', async () => {
    for (const percent of [-0.1, 100.1]) {
      expect(await thrownBy(() => quantpress.percentile(values, percent))).toMatchObject({ code: 'RANGE' });
    }
    expect(await thrownBy(() => quantpress.percentile(values, Number.NaN))).toMatchObject({ code: 'RANGE' });
    const nan = Float32Array.of(1, Number.NaN);
    expect(await thrownBy(() => quantpress.percentile(nan, 50))).toMatchObject({
      code: 'NON_FINITE',
      details: { index: 1 },
    });
    expect(quantpress.percentile(new Float32Array(), 50)).toBe(undefined);
    expect(quantpress.percentile(Float32Array.of(1, 2), 100)).toBe(2);
  });

  test('codes out of range are errors with their index', async () => {
    const outside = { code: 'RANGE', details: { index: 1, code: 100 } };
    expect(await thrownBy(() => quantpress.packCodes(Int8Array.of(1, 100), 4))).toMatchObject(outside);
    const codes = Int8Array.of(1, 100);
    expect(await thrownBy(() => quantpress.dequantizeWithParams(codes, [2], params()))).toMatchObject(outside);
    const out = new Float32Array(2);
    expect(await thrownBy(() => quantpress.dequantizeWithParamsInto(codes, [2], params(), out))).toMatchObject(outside);
    const tensor = quantpress.quantizeTensor(values, [64], { bits: 4 });
    // The one four-bit code that a narrow range excludes.
    tensor.data[3] = 0x88;
    const index = { code: 'RANGE', details: { index: 6, code: -8 } };
    expect(await thrownBy(() => quantpress.dequantizeTensor(tensor))).toMatchObject(index);
    expect(await thrownBy(() => quantpress.dequantizeTensorInto(tensor, new Float32Array(64)))).toMatchObject(index);
  });

  test('packing and unpacking are inverse for every code of every width', () => {
    for (let bits = 2; bits <= 8; bits++) {
      const half = 2 ** (bits - 1);
      const signed = Int8Array.from({ length: 2 * half }, (_, index) => index - half);
      const unsigned = Uint8Array.from({ length: 2 * half }, (_, index) => index);
      expect(quantpress.unpackCodes(quantpress.packCodes(signed, bits), bits, 2 * half, true)).toEqual(signed);
      expect(quantpress.unpackCodes(quantpress.packCodes(unsigned, bits), bits, 2 * half, false)).toEqual(unsigned);
    }
  });

  test("a diverged step is an error, a negative step becomes PyTorch's smallest", async () => {
    const learned = quantpress.LearnedFakeQuantize.fromValues(quantpress.FakeQuantConfig.symmetric(4), values);
    learned.scales[0] = -0.25;
    learned.clampParameters();
    expect(learned.scales[0]).toBe(2 ** -23);
    learned.scales[0] = 1e-20;
    learned.clampParameters();
    expect(learned.scales[0]).toBe(Math.fround(1e-20));
    for (const step of [Number.NaN, Infinity]) {
      learned.scales[0] = step;
      expect(await thrownBy(() => learned.clampParameters())).toMatchObject({ code: 'RANGE' });
      expect(learned.scales[0]).toBe(step);
    }
  });

  test('the largest floats decode to finite values, for every width and scheme', () => {
    const largest = new Float32Array(64).fill(3.4028234663852886e38);
    largest[1] = -3.4028234663852886e38;
    const schemes: quantpress.Scheme[] = [];
    for (let bits = 2; bits <= 8; bits++) {
      for (const mode of ['symmetric', 'asymmetric'] as const) {
        schemes.push({ kind: 'affine', bits, mode, granularity: { kind: 'perTensor' } });
      }
    }
    for (const dataType of ['nf4', 'fp4', 'int4'] as const) {
      schemes.push({ kind: 'fourBit', dataType, blockSize: 64, doubleQuant: false });
    }
    for (const scheme of schemes) {
      const decoded = quantpress.roundTrip(largest, [64], scheme);
      expect(decoded.every(Number.isFinite), JSON.stringify(scheme)).toBe(true);
    }
    for (const rule of ['span', 'positive', 'noClipping'] as const) {
      const tensor = quantpress.quantizeTensor(largest, [64], { bits: 8, range: 'signed', rule });
      expect(quantpress.dequantizeTensor(tensor).every(Number.isFinite), rule).toBe(true);
    }
    for (const bits of [2, 4, 8]) {
      expect(quantpress.fakeQuantize(largest, bits, 'symmetric').every(Number.isFinite)).toBe(true);
      expect(quantpress.fakeQuantize(largest, bits, 'asymmetric').every(Number.isFinite)).toBe(true);
      expect(new quantpress.Pact(3.4028234663852886e38, bits).forward(largest).every(Number.isFinite)).toBe(true);
    }
  });
});

describe('objects of the engine', () => {
  const accumulator = () => {
    const errors = new quantpress.ErrorAccumulator();
    errors.add(
      values,
      values.map((x) => x + 1),
    );
    return errors;
  };

  test('can be merged with themselves', () => {
    const errors = accumulator();
    errors.merge(errors);
    expect(errors.length).toBe(128);
    expect(errors.stats().mse).toBeCloseTo(1, 6);
    const calibrator = quantpress.Calibrator.percentile(8, 'asymmetric', 1, 99);
    calibrator.observe(values);
    const before = calibrator.compute();
    calibrator.merge(calibrator);
    expect(calibrator.numBatches).toBe(2);
    expect(calibrator.compute().observedMax).toBeCloseTo(before.observedMax, 1);
    calibrator.free();
    errors.free();
  });

  test('are freed once and work with `using`', async () => {
    const importance = await quantpress.openImportance(WHALE_IMATRIX);
    const objects: { free(): void; [Symbol.dispose](): void }[] = [
      accumulator(),
      quantpress.Calibrator.minMax(8, 'symmetric'),
      quantpress.FakeQuantize.q8(),
      await quantpress.AccuracyBenchmark.train({ epochs: 1 }),
      await quantpress.planModel(model, 'Q8_0'),
      importance,
    ];
    for (const object of objects) {
      object.free();
      object.free();
      object[Symbol.dispose]();
    }
    expect(() => importance.get('x')).toThrow('has been freed');
    expect(await thrownBy(() => (objects[2] as quantpress.FakeQuantize).scale)).toMatchObject({ code: 'ARGUMENT' });
    const opened = await quantpress.openModel(WHALE);
    await opened.close();
    await opened.close();
  });

  test('every class with free() has Symbol.dispose', () => {
    const classes = Object.values(quantpress).filter(
      (value): value is never => typeof value === 'function' && Object.hasOwn(value.prototype ?? {}, 'free'),
    ) as unknown as { name: string; prototype: object }[];
    // Plans and importance matrices are created by functions.
    expect(classes.length).toBeGreaterThan(3);
    for (const { name, prototype } of classes) expect(Symbol.dispose in prototype, name).toBe(true);
  });
});

describe('arrays of another realm', () => {
  const other = createContext({ numbers: [...values] });
  const foreign = runInContext(
    `({
      floats: new Float32Array(numbers),
      bytes: (n) => new Uint8Array(n),
      copy: (bytes) => new Uint8Array(bytes).slice(),
      int8: (n) => new Int8Array(n),
      int32: (n) => new Int32Array(n),
      floatsOf: (n) => new Float32Array(n),
      shape: [8, 8],
    })`,
    other,
  ) as {
    floats: Float32Array;
    bytes(n: number): Uint8Array<ArrayBuffer>;
    copy(bytes: Uint8Array): Uint8Array<ArrayBuffer>;
    int8(n: number): Int8Array;
    int32(n: number): Int32Array;
    floatsOf(n: number | number[]): Float32Array;
    shape: number[];
  };

  test('fail instanceof', () => {
    expect(foreign.floats).not.toBeInstanceOf(Float32Array);
    expect(foreign.bytes(1)).not.toBeInstanceOf(Uint8Array);
  });

  test('are quantized like arrays of this realm', () => {
    const { floats } = foreign;
    const bytes = quantpress.quantize(values, 'Q8_0');
    expect(quantpress.quantize(floats, 'Q8_0')).toEqual(bytes);
    const out = foreign.bytes(bytes.length);
    quantpress.quantizeInto(floats, 'Q8_0', out);
    expect([...out]).toEqual([...bytes]);
    expect(quantpress.quantize(floats, 'Q8_0', { rowLength: 64, importance: foreign.floatsOf(64) })).toHaveLength(68);
    expect(quantpress.dequantize(foreign.copy(bytes), 'Q8_0')).toEqual(quantpress.dequantize(bytes, 'Q8_0'));
    const four = quantpress.quantize4bit(floats);
    const fields = { ...four, codes: foreign.copy(four.codes), absmax: foreign.floatsOf([...four.absmax]) };
    expect(quantpress.dequantize4bit(fields)).toEqual(quantpress.dequantize4bit(four));
    expect(new quantpress.Quantized4Bit(fields).toBytes()).toEqual(four.toBytes());
    const params = quantpress.calibrateTensor(floats, foreign.shape, { bits: 8 });
    const same = new quantpress.QuantParams({
      ...params,
      scales: foreign.floatsOf([...params.scales]),
      zeroPoints: foreign.int32(0),
    });
    expect(same.toBytes()).toEqual(params.toBytes());
    const codes = foreign.int8(64);
    quantpress.quantizeWithParamsInto(floats, foreign.shape, same, codes);
    expect([...codes]).toEqual([...quantpress.quantizeWithParams(values, [8, 8], params)]);
    expect(quantpress.packCodes(codes, 8)).toHaveLength(64);
    const fake = quantpress.FakeQuantize.q8();
    expect(fake.forwardWithCalibration(floats)).toEqual(quantpress.FakeQuantize.q8().forwardWithCalibration(values));
    fake.setParameters(foreign.floatsOf([0.5]), foreign.int32(1));
    expect(fake.scale).toBe(0.5);
    fake.free();
  });

  test('are accepted as models and sources', async () => {
    const file = readFileSync(WHALE);
    for (const bytes of [foreign.copy(file), foreign.copy(file).buffer]) {
      const opened = await quantpress.openModel(bytes);
      expect(opened.tensors).toEqual(model.tensors);
      await opened.close();
    }
    const bytes = foreign.copy(file);
    const source: quantpress.Source = {
      size: bytes.length,
      read: async (offset, length) => foreign.copy(bytes.subarray(offset, offset + length)),
    };
    const own = await quantpress.openModel(source);
    const target = new quantpress.MemoryTarget();
    await quantpress.quantizeModel(own, target, 'Q8_0', { workers: 1 });
    const expected = new quantpress.MemoryTarget();
    await quantpress.quantizeModel(model, expected, 'Q8_0', { workers: 0 });
    expect(Buffer.compare(target.bytes ?? Buffer.alloc(0), expected.bytes ?? Buffer.alloc(1))).toBe(0);
    await own.close();
  });

  test('an object that only looks like an array is rejected', async () => {
    for (const fake of [
      Object.create(Float32Array.prototype) as unknown,
      { [Symbol.toStringTag]: 'Float32Array', length: 64 },
      new Proxy(values, {}),
    ]) {
      const error = await thrownBy(() => quantpress.quantize(fake as Float32Array, 'Q8_0'));
      expect(error).toMatchObject({ code: 'ARGUMENT' });
      expect((error as Error).message).toContain('must be a Float32Array');
    }
  });
});
