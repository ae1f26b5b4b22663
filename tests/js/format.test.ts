import { readFileSync } from 'node:fs';
import {
  bitsPerWeight as bitsIn,
  dequantize,
  dequantizeInto,
  formats,
  init,
  QuantpressError,
  quantize,
  quantizeInto,
} from 'quantpress';
import { beforeAll, describe, expect, test } from 'vitest';

beforeAll(() => init());

/** What the function throws, as an object to compare. */
function failure(run: () => unknown): { kind: string; code: string } {
  try {
    run();
  } catch (error) {
    if (error instanceof QuantpressError) return { kind: error.kind, code: error.code };
    throw error;
  }
  throw new Error('nothing was thrown');
}

/** Weights that any format can represent, all different. */
function ramp(length: number): Float32Array {
  return Float32Array.from({ length }, (_, index) => Math.sin(index * 0.7) * (1 + (index % 17) / 5));
}

describe('formats()', () => {
  test('FormatName lists every format of the engine in its order', () => {
    const source = readFileSync('js/numerics/format.ts', 'utf8');
    const union = /export type FormatName =([^;]+);/.exec(source)?.[1] ?? '';
    const declared = [...union.matchAll(/'(\w+)'/g)].map(([, name]) => name);
    const known = formats().map(({ name }) => name);
    expect(declared.filter((name) => known.some((other) => other === name))).toEqual(known);
  });

  test.each(['F32', 'F16', 'Q4_0', 'Q8_0'])('lists %s', (name) => {
    expect(formats().map((format) => format.name)).toContain(name);
  });

  test('bitsPerWeight is block bytes times 8 by block size', () => {
    for (const { bytes, weights, bitsPerWeight } of formats()) expect(bitsPerWeight).toBe((8 * bytes) / weights);
  });

  test('bitsPerWeight() is that of any size, and 0 without weights', () => {
    expect([bitsIn(144, 256), bitsIn(3, 7), bitsIn(2 ** 52, 2 ** 50), bitsIn(5, 0)]).toEqual([4.5, 24 / 7, 32, 0]);
    expect(failure(() => bitsIn(-1, 1))).toEqual({ kind: 'Parameter', code: 'RANGE' });
    expect(failure(() => bitsIn(1, '1' as never))).toEqual({ kind: 'Parameter', code: 'ARGUMENT' });
  });
});

describe('quantize() and dequantize()', () => {
  test('encodes a Q4_0 block byte for byte', () => {
    // d = -8 / -8 = 1, so each code is the weight plus eight: the scale's bits, then pairs (0, 16), (1, 17) ...
    const weights = Float32Array.from({ length: 32 }, (_, index) => (index % 16) - 8);
    const bytes = quantize(weights, 'Q4_0');
    expect([...bytes]).toEqual([0x00, 0x3c, ...Array.from({ length: 16 }, (_, index) => index * 17)]);
    expect(dequantize(bytes, 'Q4_0')).toEqual(weights);
  });

  test('rows are encoded independently', () => {
    const weights = ramp(1024);
    for (const { name, weights: block, canEncode, needsImportance } of formats()) {
      if (!canEncode || needsImportance || /^I\d/.test(name)) continue;
      const rowLength = Math.max(block, 512);
      const both = quantize(weights, name, { rowLength });
      const [first, second] = [weights.subarray(0, rowLength), weights.subarray(rowLength)];
      expect([...both], name).toEqual([...quantize(first, name), ...quantize(second, name)]);
    }
  });

  test("write into the caller's memory", () => {
    const weights = ramp(64);
    const bytes = new Uint8Array(68);
    quantizeInto(weights, 'Q8_0', bytes);
    expect(bytes).toEqual(quantize(weights, 'Q8_0'));
    const back = new Float32Array(64);
    dequantizeInto(bytes, 'Q8_0', back);
    expect(back).toEqual(dequantize(bytes, 'Q8_0'));
  });

  test.each([
    ['rows that do not divide into blocks', () => quantize(ramp(33), 'Q4_0'), 'Parameter', 'LENGTH'],
    ['weights that are not whole rows', () => quantize(ramp(96), 'Q4_0', { rowLength: 64 }), 'Parameter', 'LENGTH'],
    ['a NaN', () => quantize(new Float32Array(32).fill(Number.NaN), 'Q4_0'), 'Parameter', 'NON_FINITE'],
    ['an unknown name', () => quantize(ramp(32), 'Q4_9' as 'Q4_0'), 'Parameter', 'UNKNOWN_NAME'],
    ['half a block', () => dequantize(new Uint8Array(17), 'Q4_0'), 'Parameter', 'LENGTH'],
    ['an array', () => quantize([1, 2] as unknown as Float32Array, 'Q4_0'), 'Parameter', 'ARGUMENT'],
    ['no format', () => quantize(ramp(32), undefined as unknown as 'Q4_0'), 'Parameter', 'ARGUMENT'],
    ['a fraction', () => quantize(ramp(32), 'Q4_0', { rowLength: 0.5 }), 'Parameter', 'RANGE'],
    ['a negative', () => quantize(ramp(32), 'Q4_0', { rowLength: -32 }), 'Parameter', 'RANGE'],
    ['importance of a wrong length', () => quantize(ramp(32), 'Q4_0', { importance: ramp(31) }), 'Parameter', 'LENGTH'],
    ['too small an output', () => quantizeInto(ramp(32), 'Q4_0', new Uint8Array(17)), 'Parameter', 'LENGTH'],
  ])('%s is rejected', (_, run, kind, code) => {
    expect(failure(run)).toEqual({ kind, code });
  });
});
