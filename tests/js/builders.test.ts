/** What only makes objects works before `init`, and says the same of wrong fields as the engine does. */

import {
  calibrationMethods,
  calibrationParams,
  FakeQuantConfig,
  formats,
  init,
  isReady,
  LearnedFakeQuantize,
  Pact,
  packedLength,
  presets,
  QuantizedTensor,
  QuantParams,
  theoreticalMaxError,
  type QuantMode,
  type QuantParamsFields,
} from 'quantpress';
import { describe, expect, test } from 'vitest';
import { refusal } from './support/refusal.js';
import { thrownBy } from './support/thrown-by.js';

const fields: QuantParamsFields = {
  scales: Float32Array.of(0.5, 2),
  zeroPoints: Int32Array.of(-3, 4),
  granularity: { kind: 'perChannel', axis: 0 },
  mode: 'asymmetric',
  bits: 4,
  range: { qmin: -8, qmax: 7 },
};

describe('without init', () => {
  test('configurations, parameters and tensors are made', () => {
    expect(isReady()).toBe(false);
    expect(FakeQuantConfig.signed(4, 'asymmetric')).toEqual({
      bits: 4,
      mode: 'asymmetric',
      range: { qmin: -8, qmax: 7 },
    });
    expect(refusal(() => FakeQuantConfig.symmetric(9))).toBe('RANGE');
    const params = new QuantParams(fields);
    expect([params.numGroups, params.isSigned, params.isAsymmetric]).toEqual([2, true, true]);
    const tensor = new QuantizedTensor({ data: new Uint8Array(packedLength(6, 4)), params: fields, shape: [2, 3] });
    expect(tensor.memoryBytes).toBe(3 + 8 + 8);
    const observed = { observedMin: -1, observedMax: 1, method: { kind: 'minMax' } } as const;
    const { scales } = calibrationParams({ ...fields, ...observed, scale: 0.25, zeroPoint: 0 });
    expect(scales).toEqual(Float32Array.of(0.25));
    expect(new Pact(6, 4).alpha).toBe(6);
    const zeroPoints = Float32Array.of(0);
    const learned = LearnedFakeQuantize.withParameters(FakeQuantConfig.signed(4), Float32Array.of(1), zeroPoints);
    expect(learned.scales).toEqual(Float32Array.of(1));
    expect(isReady()).toBe(false);
  });

  test('tables are there, and every caller has its own copy', () => {
    expect(isReady()).toBe(false);
    for (const table of [formats, presets, calibrationMethods]) {
      const rows = table() as object[];
      expect(rows.length).toBeGreaterThan(5);
      for (const row of rows) for (const key of Object.keys(row)) Reflect.deleteProperty(row, key);
      expect(table().every((row) => Object.keys(row).length > 0)).toBe(true);
    }
    expect(formats().find(({ name }) => name === 'Q4_K')).toEqual({
      name: 'Q4_K',
      id: 12,
      weights: 256,
      bytes: 144,
      bitsPerWeight: 4.5,
      canEncode: true,
      needsImportance: false,
    });
    expect(isReady()).toBe(false);
  });

  test('what calculates says that init comes first', () => {
    expect(refusal(() => theoreticalMaxError(fields))).toBe('NOT_READY');
    expect(refusal(() => new Pact(6, 4).forward(new Float32Array(1)))).toBe('NOT_READY');
  });
});

const [tiny, largest] = [2 ** -126, 3.4028234663852886e38];

/** Fields that differ from good ones, in every way that is checked. */
const variants: [string, Partial<QuantParamsFields>][] = [
  ['nothing', {}],
  ['no zero points', { zeroPoints: new Int32Array() }],
  ['one zero point of two', { zeroPoints: Int32Array.of(1) }],
  ['a zero point below the codes', { zeroPoints: Int32Array.of(0, -9) }],
  ['a zero point above the codes', { zeroPoints: Int32Array.of(8, 0) }],
  ['a scale of 0', { scales: Float32Array.of(1, 0) }],
  ['a negative scale', { scales: Float32Array.of(-1, 1) }],
  ['an infinite scale', { scales: Float32Array.of(1, Infinity) }],
  ['a scale that is NaN', { scales: Float32Array.of(Number.NaN, 1) }],
  ['the smallest scale', { scales: Float32Array.of(tiny, 1) }],
  ['a subnormal scale', { scales: Float32Array.of(tiny / 2, 1) }],
  ['a scale whose codes overflow', { scales: Float32Array.of(1, largest) }],
  ['a scale whose codes just fit', { scales: Float32Array.of(largest / 10.5, 1) }],
  ['a scale whose codes just do not fit', { scales: Float32Array.of(largest / 9.5, 1) }],
  ['codes beyond the bits', { range: { qmin: -9, qmax: 7 } }],
  ['codes without 0', { range: { qmin: 1, qmax: 7 } }],
  ['one code', { range: { qmin: 0, qmax: 0 } }],
  ['unsigned codes', { range: { qmin: 0, qmax: 15 }, zeroPoints: Int32Array.of(15, 0) }],
  ['unsigned codes beyond the bits', { range: { qmin: 0, qmax: 16 }, zeroPoints: new Int32Array() }],
];

describe('fields are judged as the engine judges them', () => {
  test.each(variants)('%s', async (_, variant) => {
    await init();
    const given = { ...fields, ...variant };
    const ours = (await thrownBy(() => new QuantParams(given))) as { code: string; details: object } | undefined;
    const engines = (await thrownBy(() => theoreticalMaxError(given))) as typeof ours;
    expect(ours?.code).toBe(engines?.code);
    if (ours && engines) expect(Object.keys(ours.details).sort()).toEqual(Object.keys(engines.details).sort());
  });

  test.each<[number, number, number]>([
    [0, 4, 0],
    [-1, 4, 0],
    [1, 4, -0.5],
    [2 ** -149, 8, 0],
    [2 ** -119, 8, 0],
    [2 ** -118, 8, 0],
    [largest, 2, 0],
    [1, 4, 0.5],
  ])('a clipping level of %d at %d bits with decay %d', async (alpha, bits, decay) => {
    await init();
    const made = await thrownBy(() => new Pact(alpha, bits, decay));
    // A level that the caller has trained is judged by the engine.
    const pact = Object.assign(new Pact(1, bits, Math.max(decay, 0)), { alpha });
    const used = decay < 0 ? made : await thrownBy(() => pact.forward(new Float32Array(1)));
    expect((made as { code: string } | undefined)?.code).toBe((used as { code: string } | undefined)?.code);
    if (decay < 0) expect(made).toMatchObject({ code: 'RANGE', details: { decay } });
  });

  test.each<QuantMode>(['symmetric', 'asymmetric'])('codes by name and by default, %s', async (mode) => {
    await init();
    const { calibrateTensor } = await import('quantpress');
    for (let bits = 2; bits <= 8; bits++) {
      const config = mode === 'symmetric' ? FakeQuantConfig.symmetric(bits) : FakeQuantConfig.asymmetric(bits);
      const of = (range?: 'signed' | 'unsigned') =>
        calibrateTensor(Float32Array.of(-1, 2), [2], { bits, mode, range }).range;
      expect(config.range).toEqual(of());
      expect(FakeQuantConfig.signed(bits, mode).range).toEqual(of('signed'));
      expect(FakeQuantConfig.unsigned(bits, mode).range).toEqual(of('unsigned'));
    }
  });
});
