import {
  dequantizeWithParams,
  FakeQuantConfig,
  FakeQuantize,
  fakeQuantize,
  fakeQuantizeInto,
  init,
  LearnedFakeQuantize,
  Pact,
  quantizeWithParams,
  steBackward,
  steBackwardInto,
} from 'quantpress';
import { beforeAll, describe, expect, test } from 'vitest';
import { refusal } from './support/refusal.js';
import { bits, floats, golden, integers, type Packed } from './support/golden.js';

interface Case {
  kind: 'per_tensor' | 'per_channel' | 'learnable_per_tensor';
  axis: number;
  scale: number;
  zero_point: number;
  scales: Packed;
  zero_points: Packed;
  qmin: number;
  qmax: number;
  input: Packed;
  grad_output: Packed;
  output: Packed;
  grad_input: Packed;
  grad_scale: number;
  grad_zero_point: number;
}

interface Observer {
  observer: string;
  qscheme: string;
  data: string;
  averaging_constant: number;
  quant_min: number;
  quant_max: number;
  ranges: Packed;
  scale: number;
  zero_point: number;
}

beforeAll(() => init());

const reference = golden<{ fake_quantize: Case[]; observers: Observer[] }>('fourbit/torch.json');
const of = (kind: Case['kind']): Case[] => reference.fake_quantize.filter((found) => found.kind === kind);

function config(qmin: number, qmax: number, symmetric = false): FakeQuantConfig {
  const width = Math.ceil(Math.log2(qmin < 0 ? 2 * Math.max(-qmin, qmax + 1) : qmax + 1));
  return { bits: width, mode: symmetric ? 'symmetric' : 'asymmetric', range: { qmin, qmax } };
}

describe('as PyTorch', () => {
  test.each([...of('per_tensor'), ...of('per_channel')])('forward and backward, codes $qmin to $qmax', (wanted) => {
    const channels = wanted.kind === 'per_channel';
    const granularity = channels ? ({ kind: 'perChannel', axis: wanted.axis } as const) : undefined;
    const fake = new FakeQuantize(config(wanted.qmin, wanted.qmax), granularity && { granularity });
    fake.setParameters(
      channels ? floats(wanted.scales) : Float32Array.of(wanted.scale),
      channels ? integers(wanted.zero_points) : Int32Array.of(wanted.zero_point),
    );
    const [input, gradient, { shape }] = [floats(wanted.input), floats(wanted.grad_output), wanted.input];
    const output = fake.forward(input, shape);
    expect(bits(output)).toEqual(bits(floats(wanted.output)));
    expect(bits(fake.backwardClamped(gradient, input, shape))).toEqual(bits(floats(wanted.grad_input)));

    const params = fake.toParams();
    expect(dequantizeWithParams(quantizeWithParams(input, shape, params), shape, params)).toEqual(output);
    const out = new Float32Array(input.length);
    fake.forwardInto(input, out, shape);
    expect(out).toEqual(output);
    fake.backwardClampedInto(gradient, input, out, shape);
    expect(bits(out)).toEqual(bits(floats(wanted.grad_input)));
    fake.free();
  });

  test.each(of('learnable_per_tensor'))('learned steps, codes $qmin to $qmax', (wanted) => {
    const learned = LearnedFakeQuantize.withParameters(
      config(wanted.qmin, wanted.qmax),
      Float32Array.of(wanted.scale),
      Float32Array.of(wanted.zero_point),
    );
    const input = floats(wanted.input);
    expect(bits(learned.forward(input))).toEqual(bits(floats(wanted.output)));
    const gradients = learned.backward(floats(wanted.grad_output), input);
    expect(bits(gradients.input)).toEqual(bits(floats(wanted.grad_input)));
    // Sums, which PyTorch takes in single precision.
    expect((gradients.scales[0] ?? 0) / wanted.grad_scale).toBeCloseTo(1, 4);
    expect((gradients.zeroPoints[0] ?? 0) / wanted.grad_zero_point).toBeCloseTo(1, 4);
  });

  test.each(reference.observers.filter(({ ranges }) => ranges))('$observer of $data, $qscheme', (wanted) => {
    const { observer, quant_min, quant_max, averaging_constant } = wanted;
    const symmetric = wanted.qscheme === 'per_tensor_symmetric';
    const fake = new FakeQuantize(config(quant_min, quant_max, symmetric), {
      observer: observer === 'min_max' ? { kind: 'minMax' } : { kind: 'movingAverage', momentum: averaging_constant },
    });
    const ranges = floats(wanted.ranges);
    for (let at = 0; at < ranges.length; at += 2) fake.forwardWithCalibration(ranges.subarray(at, at + 2));
    expect([fake.scale, fake.zeroPoint]).toEqual([wanted.scale, wanted.zero_point]);
  });
});

describe('FakeQuantize', () => {
  test('observing and quantizing are switched independently', () => {
    const fake = FakeQuantize.q4();
    expect([fake.isInitialized, fake.scale, fake.zeroPoint, fake.numLevels]).toEqual([false, 1, 0, 15]);
    fake.fakeQuantEnabled = false;
    const x = Float32Array.of(0.125, -0.875);
    expect(fake.forwardWithCalibration(x)).toEqual(x);
    fake.fakeQuantEnabled = true;
    fake.observerEnabled = false;
    expect(fake.scale).toBe(0.125);
    expect(fake.forwardWithCalibration(Float32Array.of(70))).toEqual(Float32Array.of(0.875));
    expect([fake.observerEnabled, fake.fakeQuantEnabled]).toEqual([false, true]);
    fake.calibrate(Float32Array.of(7));
    expect([...fake.scales, ...fake.zeroPoints]).toEqual([1, 0]);
    expect(fake.backward(x)).toEqual(x);
  });

  test('a NaN is an error and changes nothing', () => {
    const fake = FakeQuantize.q8();
    fake.observe(Float32Array.of(-127, 3));
    expect(refusal(() => fake.forwardWithCalibration(Float32Array.of(1, Number.NaN, 1000)))).toBe('NON_FINITE');
    expect(fake.scale).toBe(1);
    fake.observe(Float32Array.of(-127, 3));
    expect(fake.scale).toBe(1);
  });

  test("has PyTorch's code ranges", () => {
    expect(FakeQuantConfig.q8Symmetric()).toEqual({ bits: 8, mode: 'symmetric', range: { qmin: -127, qmax: 127 } });
    expect(FakeQuantConfig.q4Symmetric()).toEqual(FakeQuantConfig.symmetric(4));
    expect(FakeQuantConfig.asymmetric(3)).toEqual({ bits: 3, mode: 'asymmetric', range: { qmin: 0, qmax: 7 } });
    expect(FakeQuantConfig.signed(2)).toEqual({ bits: 2, mode: 'symmetric', range: { qmin: -2, qmax: 1 } });
    expect(FakeQuantConfig.unsigned(8, 'symmetric')).toMatchObject({
      mode: 'symmetric',
      range: { qmin: 0, qmax: 255 },
    });
  });
});

test('the one-call functions give the same results', () => {
  const x = Float32Array.of(10, 11);
  const y = fakeQuantize(x, 8, 'asymmetric');
  expect(Math.abs((y[0] ?? 0) - 10)).toBeLessThan(0.022);
  const out = new Float32Array(2);
  fakeQuantizeInto(x, 8, 'asymmetric', out);
  expect(out).toEqual(y);
  steBackwardInto(x, out);
  expect([out, steBackward(x)]).toEqual([x, x]);
});

test('a learned step is trained', () => {
  const values = Float32Array.from({ length: 500 }, (_, index) => Math.sin(index * 1.3) * Math.cos(index * 0.4));
  const learned = LearnedFakeQuantize.fromValues(FakeQuantConfig.signed(3, 'symmetric'), values);
  const error = () => learned.forward(values).reduce((sum, y, index) => sum + (y - (values[index] ?? 0)) ** 2, 0);
  learned.scales[0] = (learned.scales[0] ?? 0) * 3;
  const before = error();
  for (let step = 0; step < 200; step++) {
    const gradient = learned.forward(values).map((y, index) => (2 * (y - (values[index] ?? 0))) / 500);
    learned.scales[0] = (learned.scales[0] ?? 0) - 3 * (learned.backward(gradient, values).scales[0] ?? 0);
    learned.clampParameters();
  }
  expect(error()).toBeLessThan(before / 4);
  expect(learned.toParams().scales).toEqual(learned.scales);
});

describe('training that is saved and resumed gives identical results', () => {
  const batch = (scale: number) => Float32Array.from({ length: 24 }, (_, index) => Math.sin(index * 1.3) * scale);

  test('FakeQuantize, with its granularity, observer and switches', () => {
    const straight = new FakeQuantize(FakeQuantConfig.asymmetric(4), {
      granularity: { kind: 'perChannel', axis: 1 },
      observer: { kind: 'movingAverage', momentum: 0.3 },
    });
    straight.forwardWithCalibration(batch(1), [4, 6]);
    const resumed = FakeQuantize.fromBytes(straight.toBytes());
    expect([resumed.config, resumed.granularity]).toEqual([straight.config, straight.granularity]);
    for (const scale of [0.3, 2, 5]) {
      const [a, b] = [straight, resumed].map((fake) => fake.forwardWithCalibration(batch(scale), [4, 6]));
      expect(bits(b!)).toEqual(bits(a!));
    }
    expect(resumed.toBytes()).toEqual(straight.toBytes());
    straight.observerEnabled = false;
    straight.fakeQuantEnabled = false;
    const off = FakeQuantize.fromBytes(straight.toBytes());
    expect([off.observerEnabled, off.fakeQuantEnabled]).toEqual([false, false]);
    expect(off.forwardWithCalibration(batch(9), [4, 6])).toEqual(batch(9));
    for (const fake of [straight, resumed, off]) fake.free();
  });

  test('LearnedFakeQuantize, also between a step of the optimizer and the clamp', () => {
    const straight = LearnedFakeQuantize.fromValues(FakeQuantConfig.signed(3, 'symmetric'), batch(1));
    straight.scales[0] = -0.25;
    const resumed = LearnedFakeQuantize.fromBytes(straight.toBytes());
    expect([resumed.config, resumed.granularity]).toEqual([straight.config, straight.granularity]);
    expect([resumed.scales, resumed.zeroPoints]).toEqual([straight.scales, straight.zeroPoints]);
    straight.scales[0] = resumed.scales[0] = 0.3;
    expect(resumed.backward(batch(2), batch(1))).toEqual(straight.backward(batch(2), batch(1)));
  });

  test('Pact, whose level is a double', () => {
    const straight = new Pact(1.5 + 2 ** -40, 3, 0.1);
    const resumed = Pact.fromBytes(straight.toBytes());
    expect([resumed.alpha, resumed.bits, resumed.decay]).toEqual([straight.alpha, 3, 0.1]);
  });

  test.each([
    ['a FakeQuantize', FakeQuantize],
    ['a LearnedFakeQuantize', LearnedFakeQuantize],
    ['a Pact', Pact],
  ])('bytes of another object are rejected by %s', (_, Class) => {
    for (const bytes of [new Uint8Array(), Uint8Array.of(1, 2, 3, 4, 5), new TextEncoder().encode('QPxx\u0001')]) {
      expect(() => Class.fromBytes(bytes)).toThrow(expect.objectContaining({ kind: 'Format' }));
    }
    expect(() => Class.fromBytes([1] as never)).toThrow(expect.objectContaining({ code: 'ARGUMENT' }));
  });
});

test('PACT clips, and its gradients equal those of the paper', () => {
  const pact = new Pact(1.5, 2, 0.25);
  const input = Float32Array.of(-1, 0, 0.5, 1.5, 9);
  expect(pact.forward(input)).toEqual(Float32Array.of(0, 0, 0.5, 1.5, 1.5));
  const { input: gradient, alpha } = pact.backward(Float32Array.of(1, 2, 3, 4, 5), input);
  expect(gradient).toEqual(Float32Array.of(0, 2, 3, 0, 0));
  expect(alpha).toBe(9.75);
});

test.each<[string, () => unknown, string]>([
  ['before anything was observed', () => FakeQuantize.q8().forward(new Float32Array(1)), 'NO_DATA'],
  ['9 bits', () => fakeQuantize(new Float32Array(1), 9, 'symmetric'), 'RANGE'],
  ['257 bits', () => FakeQuantConfig.symmetric(257), 'RANGE'],
  [
    'codes that do not fit',
    () => new FakeQuantize({ ...FakeQuantConfig.q4Symmetric(), range: { qmin: -7, qmax: 9 } }),
    'RANGE',
  ],
  ['no configuration', () => new FakeQuantize(undefined as unknown as FakeQuantConfig), 'ARGUMENT'],
  ['a momentum', () => new FakeQuantize(config(0, 7), { observer: { kind: 'movingAverage', momentum: 0 } }), 'RANGE'],
  [
    'a step of 0',
    () => LearnedFakeQuantize.withParameters(config(0, 7), new Float32Array(1), new Float32Array(1)),
    'RANGE',
  ],
  ['a level of 0', () => new Pact(0, 4), 'RANGE'],
  ['too small an output', () => steBackwardInto(new Float32Array(2), new Float32Array(1)), 'LENGTH'],
])('%s is refused', (_, run, code) => {
  expect(refusal(run)).toBe(code);
});
