/** Every function that returns an array has a form that writes into the caller's: the same bits, also in place. */

import { readFileSync, readdirSync } from 'node:fs';
import * as quantpress from 'quantpress';
import { beforeAll, describe, expect, test } from 'vitest';
import { thrownBy } from './support/thrown-by.js';

const { FakeQuantConfig, FakeQuantize, LearnedFakeQuantize, Pact } = quantpress;

beforeAll(() => quantpress.init());

const COUNT = 4096;
const SHAPE = [16, 256];
const x = Float32Array.from({ length: COUNT }, (_, index) => Math.sin(index) * (1 + (index % 7)));
const dy = Float32Array.from({ length: COUNT }, (_, index) => Math.cos(3 * index));
const codes = Int8Array.from({ length: COUNT }, (_, index) => (index % 15) - 7);

type Floats = Float32Array<ArrayBuffer>;
type Bytes = Uint8Array<ArrayBuffer>;

/** A function and its `Into` form. What both need is made anew for each call, because some of them change it. */
interface Twin<Out extends Floats | Bytes | Int8Array<ArrayBuffer> = Floats | Bytes | Int8Array<ArrayBuffer>> {
  name: string;
  make: (values: Floats) => Out;
  into: (values: Floats, out: Out) => void;
  /** Whether `out` can be the values themselves. */
  inPlace?: boolean;
  /** Whether every length is right. */
  anyLength?: boolean;
}

const floatTwins: Twin<Floats>[] = [
  {
    name: 'generateGaussianWeights',
    make: () => quantpress.generateGaussianWeights(COUNT, 0.5, 2, 7),
    into: (_, out) => quantpress.generateGaussianWeightsInto(out, 0.5, 2, 7),
    anyLength: true,
  },
  {
    name: 'generateUniformWeights',
    make: () => quantpress.generateUniformWeights(COUNT, -2, 3, 7),
    into: (_, out) => quantpress.generateUniformWeightsInto(out, -2, 3, 7),
    anyLength: true,
  },
  {
    name: 'generateWeightsWithOutliers',
    make: () => quantpress.generateWeightsWithOutliers(COUNT, 0.1, 9, 7),
    into: (_, out) => quantpress.generateWeightsWithOutliersInto(out, 0.1, 9, 7),
    anyLength: true,
  },
  {
    name: 'generateMultiChannelWeights',
    make: () => quantpress.generateMultiChannelWeights(16, 256, 3, 7),
    into: (_, out) => quantpress.generateMultiChannelWeightsInto(out, 16, 3, 7),
  },
  {
    name: 'fakeQuantize',
    make: (values) => quantpress.fakeQuantize(values, 5, 'asymmetric'),
    into: (values, out) => quantpress.fakeQuantizeInto(values, 5, 'asymmetric', out),
    inPlace: true,
  },
  {
    name: 'steBackward',
    make: (values) => quantpress.steBackward(values),
    into: (values, out) => quantpress.steBackwardInto(values, out),
    inPlace: true,
  },
  {
    name: 'FakeQuantize.forward',
    make: (values) => watching().forward(values, SHAPE),
    into: (values, out) => watching().forwardInto(values, out, SHAPE),
    inPlace: true,
  },
  {
    name: 'FakeQuantize.forwardWithCalibration',
    make: (values) => watching().forwardWithCalibration(values, SHAPE),
    into: (values, out) => watching().forwardWithCalibrationInto(values, out, SHAPE),
    inPlace: true,
  },
  {
    name: 'FakeQuantize.backward',
    make: (values) => watching().backward(values),
    into: (values, out) => watching().backwardInto(values, out),
    inPlace: true,
  },
  {
    name: 'FakeQuantize.backwardClamped',
    make: (values) => watching().backwardClamped(dy, values, SHAPE),
    into: (values, out) => watching().backwardClampedInto(dy, values, out, SHAPE),
    inPlace: true,
  },
  {
    name: 'LearnedFakeQuantize.forward',
    make: (values) => learned().forward(values, SHAPE),
    into: (values, out) => learned().forwardInto(values, out, SHAPE),
    inPlace: true,
  },
  {
    name: 'Pact.forward',
    make: (values) => new Pact(2, 4).forward(values),
    into: (values, out) => new Pact(2, 4).forwardInto(values, out),
    inPlace: true,
  },
  {
    name: 'Pact.backward',
    make: (values) => new Pact(2, 4).backward(dy, values).input,
    into: (values, out) => void new Pact(2, 4).backwardInto(dy, values, out),
    inPlace: true,
  },
  {
    name: 'roundTrip',
    make: (values) => quantpress.roundTrip(values, SHAPE, { kind: 'fourBit' }),
    into: (values, out) => quantpress.roundTripInto(values, SHAPE, { kind: 'fourBit' }, out),
    inPlace: true,
  },
  {
    name: 'dequantize',
    make: () => quantpress.dequantize(blocks(), 'Q4_K'),
    into: (_, out) => quantpress.dequantizeInto(blocks(), 'Q4_K', out),
  },
  {
    name: 'dequantizeWithParams',
    make: () => quantpress.dequantizeWithParams(codes, SHAPE, params()),
    into: (_, out) => quantpress.dequantizeWithParamsInto(codes, SHAPE, params(), out),
  },
  {
    name: 'dequantizeTensor',
    make: () => quantpress.dequantizeTensor(quantpress.quantizeTensor(x, SHAPE, { bits: 5 })),
    into: (_, out) => quantpress.dequantizeTensorInto(quantpress.quantizeTensor(x, SHAPE, { bits: 5 }), out),
  },
  {
    name: 'dequantize4bit',
    make: () => quantpress.dequantize4bit(quantpress.quantize4bit(x)),
    into: (_, out) => quantpress.dequantize4bitInto(quantpress.quantize4bit(x), out),
  },
  {
    name: 'dequantize4bitDouble',
    make: () => quantpress.dequantize4bitDouble(quantpress.quantize4bitDouble(x)),
    into: (_, out) => quantpress.dequantize4bitDoubleInto(quantpress.quantize4bitDouble(x), out),
  },
  {
    name: 'BlockTensor.dequantize',
    make: () => quantpress.Q4_0.quantize(x).dequantize(),
    into: (_, out) => quantpress.Q4_0.quantize(x).dequantizeInto(out),
  },
];

const byteTwins: Twin<Bytes>[] = [
  {
    name: 'quantize',
    make: (values) => quantpress.quantize(values, 'Q4_K', { rowLength: 256 }),
    into: (values, out) => quantpress.quantizeInto(values, 'Q4_K', out, { rowLength: 256 }),
  },
  {
    name: 'packCodes',
    make: () => quantpress.packCodes(codes, 4),
    into: (_, out) => quantpress.packCodesInto(codes, 4, out),
  },
];

const codeTwins: Twin<Int8Array<ArrayBuffer>>[] = [
  {
    name: 'quantizeWithParams',
    make: (values) => quantpress.quantizeWithParams(values, SHAPE, params()) as Int8Array<ArrayBuffer>,
    into: (values, out) => quantpress.quantizeWithParamsInto(values, SHAPE, params(), out),
  },
  {
    name: 'unpackCodes',
    // At 8 bits every number of codes has its own number of bytes.
    make: () => quantpress.unpackCodes(quantpress.packCodes(codes, 8), 8, COUNT, true) as Int8Array<ArrayBuffer>,
    into: (_, out) => quantpress.unpackCodesInto(quantpress.packCodes(codes, 8), 8, out),
  },
];

const twins = [...floatTwins, ...byteTwins, ...codeTwins] as unknown as Twin[];

const params = () => quantpress.calibrateTensor(x, SHAPE, { bits: 4 });
const blocks = () => quantpress.quantize(x, 'Q4_K');
const learned = () => LearnedFakeQuantize.fromValues(FakeQuantConfig.signed(3), x.subarray(0, 1024));

/** One that has seen a little, and whose range an observation changes. */
function watching() {
  const fake = new FakeQuantize(FakeQuantConfig.asymmetric(4), { observer: { kind: 'minMax' } });
  fake.observe(x.subarray(0, 8));
  return fake;
}

describe('the Into form', () => {
  test.each(twins)('of $name gives the same bits', ({ make, into }) => {
    const expected = make(x.slice());
    const out = emptied(expected, 0);
    into(x.slice(), out);
    expect(out).toEqual(expected);
  });

  test.each(twins)(
    'of $name refuses another length, and leaves the array as it is',
    async ({ anyLength, make, into }) => {
      const expected = make(x.slice());
      // A part of a longer array: nothing beside it is written either.
      for (const more of anyLength ? [] : [-1, 1]) {
        const memory = emptied(expected, 8).fill(3);
        const out = memory.subarray(4, 4 + expected.length + more);
        const error = await thrownBy(() => into(x.slice(), out as never));
        expect(error).toMatchObject({ code: 'LENGTH' });
        expect(memory.every((value) => value === 3)).toBe(true);
      }
    },
  );

  test.each(floatTwins.filter(({ inPlace }) => inPlace))('of $name works in place', ({ make, into }) => {
    const expected = make(x.slice());
    const values = x.slice();
    into(values, values);
    expect(values).toEqual(expected);
    // Overlapping by a part, which is more than one tile of a long array.
    const memory = new Float32Array(COUNT + 8);
    memory.set(x);
    into(memory.subarray(0, COUNT), memory.subarray(8));
    expect(memory.subarray(8)).toEqual(expected);
  });

  test('of packing and unpacking works in place', () => {
    const bytes = new Uint8Array(codes.buffer.slice(0));
    quantpress.packCodesInto(new Int8Array(bytes.buffer), 4, bytes.subarray(0, COUNT / 2));
    expect(bytes.subarray(0, COUNT / 2)).toEqual(quantpress.packCodes(codes, 4));
    const unpacked = new Int8Array(bytes.buffer);
    quantpress.unpackCodesInto(bytes.subarray(0, COUNT / 2), 4, unpacked);
    expect(unpacked).toEqual(codes);
    expect(() => quantpress.packCodesInto(Int8Array.of(8), 4, new Uint8Array(1))).toThrow('code 0 is 8');
  });

  test('of the learned gradients fills all three arrays, or none', async () => {
    const expected = learned().backward(dy, x, SHAPE);
    const out = { input: x.slice(), scales: new Float64Array(1), zeroPoints: new Float64Array(1) };
    learned().backwardInto(dy, out.input, out, SHAPE);
    expect(out).toEqual(expected);
    for (const wrong of [
      { input: new Float32Array(3) },
      { scales: new Float64Array(2) },
      { zeroPoints: new Float64Array() },
    ]) {
      const untouched = {
        input: new Float32Array(COUNT),
        scales: new Float64Array(1),
        zeroPoints: new Float64Array(1),
      };
      const error = await thrownBy(() => learned().backwardInto(dy, x, { ...untouched, ...wrong }, SHAPE));
      expect(error).toMatchObject({ code: 'LENGTH' });
      expect([untouched.input, untouched.scales, untouched.zeroPoints].every((a) => a.every((v) => v === 0))).toBe(
        true,
      );
    }
    const error = await thrownBy(() => learned().backwardInto(dy, x, { input: out.input } as never, SHAPE));
    expect(error).toMatchObject({ code: 'ARGUMENT', details: { argument: 'out.scales' } });
  });

  test('of a PACT gradient returns that of the level', () => {
    expect(new Pact(2, 4, 0.5).backwardInto(dy, x, new Float32Array(COUNT))).toBe(
      new Pact(2, 4, 0.5).backward(dy, x).alpha,
    );
  });

  test('of a step of training that fails has observed nothing', async () => {
    const fake = watching();
    const { scale } = fake;
    const error = await thrownBy(() => fake.forwardWithCalibrationInto(x, new Float32Array(3), SHAPE));
    expect(error).toMatchObject({ code: 'LENGTH' });
    expect(fake.scale).toBe(scale);
  });

  test('exists for everything that returns an array', () => {
    const known = new Set(twins.map(({ name }) => name));
    const declarations = readdirSync('dist/numerics').filter((file) => file.endsWith('.d.ts'));
    const returning = declarations.flatMap((file) => returningArrays(readFileSync(`dist/numerics/${file}`, 'utf8')));
    expect(returning.length).toBeGreaterThan(25);
    // Bytes whose number is not known before, tables of 16 numbers, and fields.
    const apart = /\.(toBytes|get scales|get zeroPoints)$|^table4bit$|^errorFigures$/;
    expect([...new Set(returning)].filter((name) => !known.has(name) && !apart.test(name))).toEqual([]);
  });
});

/** Another array of the kind of `like`, `more` elements longer. */
function emptied<T extends Floats | Bytes | Int8Array<ArrayBuffer>>(like: T, more: number): T {
  return new (like.constructor as new (length: number) => T)(like.length + more);
}

/** Functions and methods of a declaration file whose result is a typed array. */
function returningArrays(declarations: string): string[] {
  const found: string[] = [];
  let Class = '';
  for (const [, name, free, method] of declarations.matchAll(
    /^(?:(?:export )?(?:declare )?(?:abstract )?class (\w+)|(?:export declare function (\w+)| {4}(?:static )?((?:get )?\w+))\([^;]*\): (?:Float32|Int8|Uint8|Int32|Float64)Array[^;]*;)/gm,
  )) {
    if (name !== undefined) Class = name;
    else found.push(free ?? `${Class}.${method}`);
  }
  return found;
}
