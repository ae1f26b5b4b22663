import {
  analyzeModel,
  bestMix,
  type FormatName,
  init,
  MemoryTarget,
  type Mix,
  type Model,
  type ModelAnalysis,
  openModel,
  planModel,
  presets,
  quantizeModel,
} from 'quantpress';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { failure } from './support/failure.js';
import { floats, gguf, LLAMA, wave } from './support/gguf.js';
import { WHALE, WHALE_IMATRIX } from './support/whale.js';

beforeAll(() => init());

describe.each([undefined, WHALE_IMATRIX])('the best mix of tiny-whale (imatrix: %s)', (imatrix) => {
  let model: Model;
  let analysis: ModelAnalysis;

  beforeAll(async () => {
    model = await openModel(WHALE);
    analysis = await analyzeModel(model, { imatrix, sample: 1 << 15 });
  });
  afterAll(() => model.close());

  const mixed = (targetSize: number) => bestMix(model, analysis, { targetSize }, { imatrix });

  /** The objective as it is documented, of any assignment of types. */
  function objective(typeOf: (name: string) => FormatName | undefined): number | undefined {
    let [sum, total] = [0, 0];
    for (const { name, formats, weights } of analysis.tensors) {
      if (formats.length === 0) continue;
      const factor = name === 'output.weight' ? 8 : name.endsWith('attn_v.weight') ? 2 : 1;
      const result = formats.find(({ format }) => format === typeOf(name));
      if (!result || result.refusal) return undefined;
      const error = (imatrix === undefined ? undefined : result.weightedError) ?? result.relativeRmse;
      sum += factor * weights * error ** 2;
      total += factor * weights;
    }
    return sum / total;
  }

  function own({ tensors }: Mix): number {
    const types = new Map(tensors.map(({ name, type }) => [name, type]));
    return objective((name) => types.get(name)) ?? Number.NaN;
  }

  test("predicts its file's size, fits the target, and is close to the bound", async () => {
    for (const size of [1_200_000, 1_883_968, 2_289_984, 3_000_000]) {
      const mix = await mixed(size);
      expect(mix.size).toBeLessThanOrEqual(size);
      expect(mix.size).toBeGreaterThan(size * 0.995);
      expect(own(mix) / mix.objective).toBeCloseTo(1, 12);
      expect(mix.bound).toBeLessThanOrEqual(mix.objective);
      expect(mix.objective / mix.bound).toBeLessThan(1.02);
      expect(await mixed(size)).toEqual(mix);
    }
  });

  test('writes the chosen types and reports them', async () => {
    const mix = await mixed(1_900_000);
    const target = new MemoryTarget();
    const report = await quantizeModel(model, target, mix.recipe, { imatrix });
    expect([report.size, target.bytes?.length]).toEqual([mix.size, mix.size]);
    const written = new Map(report.tensors.map(({ name, to, bytes, why }) => [name, { to, bytes, why }]));
    for (const { name, type, bytes } of mix.tensors) {
      expect(written.get(name)).toEqual({ to: type, bytes, why: 'best mix' });
      expect(mix.recipe.tensorTypes).toContainEqual({
        pattern: `^${name.replaceAll('.', '\\.')}$`,
        type,
        why: 'best mix',
      });
    }
    expect(written.get('blk.0.attn_norm.weight')).toMatchObject({ to: 'F32', why: expect.stringContaining('kept') });
    expect(mix.tensors).toHaveLength(30);
  });

  test('is never worse than a preset of the same size or smaller', async () => {
    const known: { name: string; size: number; theirs: number }[] = [];
    for (const { name } of presets()) {
      const plan = await planModel(model, name, { imatrix }).catch(() => undefined);
      if (!plan || plan.missingImportance.length > 0) continue;
      const types = new Map(plan.tensors.map(({ name, to }) => [name, to]));
      const theirs = objective((name) => types.get(name));
      if (theirs !== undefined && theirs > 0) known.push({ name, size: plan.size, theirs });
      plan.free();
    }
    expect(known.length).toBeGreaterThan(20);
    const tried = known.sort((a, b) => a.size - b.size).filter((_, index) => index % 4 === 3);
    for (const { name, size } of tried) {
      const mix = await mixed(size);
      const best = Math.min(...known.flatMap((preset) => (preset.size <= size ? [preset.theirs] : [])));
      expect(mix.objective, name).toBeLessThanOrEqual(best * (1 + 1e-12));
      expect((mix.nearestPreset?.objective ?? Number.NaN) / best, name).toBeCloseTo(1, 12);
      expect(mix.nearestPreset?.size, name).toBeLessThanOrEqual(size);
    }
  });

  test('has a smallest size, and is lossless beyond the largest', async () => {
    const error = await failure(mixed(1000));
    expect(error.code).toBe('RANGE');
    const { smallest } = error.details as { smallest: number };
    expect((await mixed(smallest)).size).toBe(smallest);
    expect(await failure(mixed(smallest - 1))).toMatchObject({ code: 'RANGE', details: { smallest } });
    const all = await mixed(1e9);
    expect(all).toMatchObject({ objective: 0, bound: 0 });
    expect(all.tensors.every(({ type }) => type === 'F16')).toBe(true);
  });

  test('accepts a target in bits per weight', async () => {
    const { size } = await bestMix(model, analysis, { targetBpw: 4.2 }, { imatrix });
    const weights = analysis.tensors.reduce((sum, tensor) => sum + tensor.weights, 0);
    const plan = await planModel(model, 'Q8_0', { imatrix });
    const header = plan.size - plan.tensors.reduce((sum, { paddedBytes }) => sum + paddedBytes, 0);
    plan.free();
    expect((8 * (size - header)) / weights).toBeLessThanOrEqual(4.2);
    expect((8 * (size - header)) / weights).toBeGreaterThan(4.18);
  });
});

describe('best mixes of other models', () => {
  test('handle narrow rows, odd rows, capital letters, experts and an alignment of 64', async () => {
    const experts = { 'llama.expert_count': 4, 'llama.expert_used_count': 2, 'general.alignment': 64 };
    const tensors = [
      floats('blk.0.attn_q.weight', [96, 40], wave),
      floats('blk.0.attn_v.weight', [33, 40], wave),
      floats('Blk.1.Other.weight', [256, 8], wave),
      floats('blk.0.ffn_up_exps.weight', [256, 8, 4], (index) => wave(index) ** 3),
      floats('token_embd.weight', [256, 32], wave),
    ];
    const model = await openModel(gguf({ ...LLAMA, ...experts }, tensors));
    const analysis = await analyzeModel(model);
    for (const targetSize of [26_000, 31_000, 40_000]) {
      const mix = await bestMix(model, analysis, { targetSize });
      const target = new MemoryTarget();
      await quantizeModel(model, target, mix.recipe);
      expect(target.bytes?.length).toBe(mix.size);
      expect(mix.size).toBeLessThanOrEqual(targetSize);
      expect(mix.tensors.map(({ name }) => name).sort()).toEqual(
        ['Blk.1.Other.weight', 'blk.0.attn_q.weight', 'blk.0.ffn_up_exps.weight', 'token_embd.weight'].sort(),
      );
    }
  });

  test('keep quantized tensors, unless requantizing is allowed', async () => {
    const target = new MemoryTarget();
    const whale = await openModel(WHALE);
    await quantizeModel(whale, target, 'Q8_0');
    const model = await openModel(target.bytes ?? new Uint8Array());
    const analysis = await analyzeModel(model, { formats: ['Q4_K', 'Q6_K', 'Q8_0'], sample: 4096 });
    expect(await failure(bestMix(model, analysis, { targetSize: 3e6 }))).toMatchObject({ code: 'RANGE' });
    const mix = await bestMix(model, analysis, { targetSize: 3e6 }, { recipe: { allowRequantize: true } });
    expect(mix.recipe.allowRequantize).toBe(true);
    expect((await quantizeModel(model, new MemoryTarget(), mix.recipe)).size).toBe(mix.size);
    await Promise.all([whale.close(), model.close()]);
  });

  test('follow the other options of a recipe', async () => {
    const model = await openModel(WHALE);
    const analysis = await analyzeModel(model, { formats: ['Q3_K', 'Q4_K', 'Q6_K'], sample: 4096 });
    const recipe = { outputTensorType: 'Q8_0', tensorTypes: [{ pattern: 'ffn_up', type: 'Q5_0' }] } as const;
    const mix = await bestMix(model, analysis, { targetSize: 2e6 }, { recipe: { ...recipe, splitMaxSize: '1MB' } });
    expect(mix.tensors.some(({ name }) => /^output|ffn_up/.test(name))).toBe(false);
    expect(mix.recipe).toMatchObject({ outputTensorType: 'Q8_0', splitMaxSize: '1MB' });
    const { splitMaxSize, ...whole } = mix.recipe;
    const report = await quantizeModel(model, new MemoryTarget(), whole);
    expect(report.size).toBe(mix.size);
    for (const { name, to } of report.tensors) {
      if (/ffn_up/.test(name)) expect(to).toBe('Q5_0');
      if (name === 'output.weight') expect(to).toBe('Q8_0');
    }
    await model.close();
  });

  test('reject wrong arguments', async () => {
    const model = await openModel(gguf(LLAMA, [floats('blk.0.attn_q.weight', [256, 4], wave)]));
    const analysis = await analyzeModel(model);
    const code = async (...args: unknown[]) => (await failure(bestMix(...(args as Parameters<typeof bestMix>)))).code;
    expect(await code(model, analysis, {})).toBe('ARGUMENT');
    expect(await code(model, analysis, { targetSize: 1e6, targetBpw: 4 })).toBe('ARGUMENT');
    expect(await code(model, analysis, { targetSize: -1 })).toBe('RANGE');
    expect(await code(model, analysis, { targetBpw: Number.NaN })).toBe('RANGE');
    expect(await code(model, { tensors: [] }, { targetSize: 1e6 })).toBe('ARGUMENT');
    expect(await code(model, { tensors: [null] }, { targetSize: 1e6 })).toBe('ARGUMENT');
    expect(await code(model, {}, { targetSize: 1e6 })).toBe('ARGUMENT');
  });
});
