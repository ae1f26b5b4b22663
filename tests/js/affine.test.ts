import {
  calibratePerChannel,
  calibratePerGroup,
  calibratePerTensor,
  calibrateTensor,
  compareGranularities,
  dequantizeTensor,
  dequantizeTensorInto,
  dequantizeWithParams,
  dequantizeWithParamsInto,
  init,
  packCodes,
  packedLength,
  QuantizedTensor,
  QuantParams,
  quantizationMse,
  quantizePackedInto,
  quantizeTensor,
  quantizeWithParams,
  quantizeWithParamsInto,
  unpackCodes,
} from 'quantpress';
import { beforeAll, describe, expect, test } from 'vitest';
import { refusal } from './support/refusal.js';
import { bits, floats, golden, integers, type Packed } from './support/golden.js';

beforeAll(() => init());

const weights = Float32Array.from({ length: 120 }, (_, index) => Math.sin(index * 0.7) * (1 + (index % 17)));
const shape = [4, 30];

interface Observer {
  observer: string;
  axis: number;
  batches: Packed[];
  scales: Packed;
  zero_points: Packed;
}

describe('scales and zero points', () => {
  test("per-channel parameters equal PyTorch's observer", () => {
    const { observers } = golden<{ observers: Observer[] }>('fourbit/torch.json');
    const cases = observers.filter(({ observer }) => observer === 'per_channel_min_max');
    expect(cases).toHaveLength(2);
    for (const { axis, batches, scales, zero_points } of cases) {
      const [batch] = batches as [Packed];
      const params = calibrateTensor(floats(batch), batch.shape, {
        bits: 8,
        mode: 'asymmetric',
        range: 'signed',
        granularity: { kind: 'perChannel', axis },
      });
      expect(bits(params.scales)).toEqual(bits(floats(scales)));
      expect(params.zeroPoints).toEqual(integers(zero_points));
    }
  });

  test('groups end where rows end', () => {
    const rows = Float32Array.of(1, 1, 1, 1, 100, 3, 3, 3, 3, 0.01);
    const params = calibratePerGroup(rows, [2, 5], 4, 8);
    expect(params.numGroups).toBe(4);
    expect(quantizeWithParams(rows, [2, 5], params)).toEqual(new Int8Array(10).fill(127));
  });

  test('data on one side of zero survives asymmetric mode', () => {
    const tensor = quantizeTensor(Float32Array.of(10, 11), [2], { bits: 8, mode: 'asymmetric' });
    const [ten, eleven] = dequantizeTensor(tensor) as unknown as [number, number];
    expect(Math.abs(ten - 10)).toBeLessThan(0.022);
    expect(eleven).toBe(11);
  });

  test('parameters survive serialization', () => {
    const params = calibratePerChannel(weights, shape, 1, 3, 'asymmetric');
    expect(params.isAsymmetric).toBe(true);
    expect(QuantParams.fromBytes(params.toBytes())).toEqual(params);
    expect(new QuantParams(structuredClone({ ...params }))).toEqual(params);
  });
});

describe('tensors', () => {
  test.each([2, 3, 4, 5, 6, 7, 8])('%i-bit codes are packed, serialized and decoded', (width) => {
    for (const mode of ['symmetric', 'asymmetric'] as const) {
      const tensor = quantizeTensor(weights, shape, { bits: width, mode, granularity: { kind: 'perGroup', size: 8 } });
      expect(tensor.data).toHaveLength(packedLength(120, width));
      expect(tensor.memoryBytes).toBe(packedLength(120, width) + 16 * (mode === 'symmetric' ? 4 : 8));
      expect(QuantizedTensor.fromBytes(tensor.toBytes())).toEqual(tensor);

      const codes = quantizeWithParams(weights, shape, tensor.params);
      expect(codes).toBeInstanceOf(mode === 'symmetric' ? Int8Array : Uint8Array);
      expect(packCodes(codes, width)).toEqual(tensor.data);
      expect(unpackCodes(tensor.data, width, 120, mode === 'symmetric')).toEqual(codes);
      const decoded = dequantizeTensor(tensor);
      expect(dequantizeWithParams(codes, shape, tensor.params)).toEqual(decoded);
      const scale = Math.max(...tensor.params.scales);
      expect(decoded.every((x, index) => Math.abs(x - (weights[index] ?? 0)) <= scale * 1.001)).toBe(true);

      const [into, packed, values] = [codes.slice().fill(0), new Uint8Array(tensor.data.length), new Float32Array(120)];
      quantizeWithParamsInto(weights, shape, tensor.params, into);
      expect(into).toEqual(codes);
      quantizePackedInto(weights, shape, tensor.params, packed);
      expect(packed).toEqual(tensor.data);
      dequantizeTensorInto(tensor, values);
      expect(values).toEqual(decoded);
      dequantizeWithParamsInto(codes, shape, tensor.params, values.fill(0));
      expect(values).toEqual(decoded);
    }
  });

  test('finer granularity costs memory and saves error', () => {
    const rows = weights.map((x, index) => x * 10 ** Math.floor(index / 30));
    const report = compareGranularities(rows, shape, 4, 'symmetric', [
      { kind: 'perTensor' },
      { kind: 'perChannel', axis: 0 },
    ]);
    expect(report.map(({ granularity }) => granularity.kind)).toEqual(['perTensor', 'perChannel']);
    expect(report.map(({ memoryBytes }) => memoryBytes)).toEqual([64, 76]);
    expect(report[0]?.mse).toBeGreaterThan(report[1]?.mse ?? Number.POSITIVE_INFINITY);
    const tensor = quantizeTensor(rows, shape, { bits: 4 });
    expect(quantizationMse(rows, dequantizeTensor(tensor))).toBe(report[0]?.mse);
  });
});

describe('refused', () => {
  const good = () => calibratePerTensor(weights, 8);
  test.each<[string, () => unknown, string]>([
    ['1 bit', () => calibratePerTensor(weights, 1), 'RANGE'],
    ['9 bits', () => quantizeTensor(weights, shape, { bits: 9 }), 'RANGE'],
    ['256 bits', () => packCodes(new Uint8Array(1), 256), 'RANGE'],
    ['258 bits', () => compareGranularities(weights, shape, 258, 'symmetric', [{ kind: 'perTensor' }]), 'RANGE'],
    ['no bits', () => quantizeTensor(weights, shape, {} as { bits: number }), 'ARGUMENT'],
    ['an unknown mode', () => calibratePerTensor(weights, 8, 'both' as 'symmetric'), 'ARGUMENT'],
    ['an axis out of range', () => calibratePerChannel(weights, shape, 2, 8), 'RANGE'],
    ['an empty group', () => calibratePerGroup(weights, shape, 0, 8), 'RANGE'],
    ['a shape that does not fit', () => calibratePerChannel(weights, [4, 31], 0, 8), 'LENGTH'],
    ['half a row', () => calibratePerChannel(weights, [240, 0.5], 0, 8), 'RANGE'],
    [
      'codes wider than the bits',
      () => calibrateTensor(weights, shape, { bits: 4, range: { qmin: -9, qmax: 7 } }),
      'RANGE',
    ],
    ['a NaN', () => calibratePerTensor(Float32Array.of(Number.NaN), 8), 'NON_FINITE'],
    ['nothing', () => calibratePerTensor(new Float32Array(0), 8), 'NO_DATA'],
    ['a scale of 0', () => new QuantParams({ ...good(), scales: new Float32Array(1) }), 'RANGE'],
    ['doubles', () => new QuantParams({ ...good(), scales: new Float64Array(1) as never }), 'ARGUMENT'],
    ['another shape', () => quantizeWithParams(weights, [2, 2], good()), 'LENGTH'],
    ['too small an output', () => quantizeWithParamsInto(weights, shape, good(), new Int8Array(3)), 'LENGTH'],
    ['means of unequal lengths', () => quantizationMse(weights, new Float32Array(1)), 'LENGTH'],
    ['cut bytes', () => QuantParams.fromBytes(good().toBytes().subarray(0, 9)), 'TRUNCATED'],
    ['trailing bytes', () => QuantParams.fromBytes(Uint8Array.of(...good().toBytes(), 0)), 'MALFORMED'],
  ])('%s', (_, run, code) => {
    expect(refusal(run)).toBe(code);
  });
});
