import {
  type FormatName,
  type Model,
  analyzeModel,
  dequantize,
  init,
  openImportance,
  openModel,
  quantize,
} from 'quantpress';
import { tensorHistogram, type FormatError, type TensorAnalysis } from 'quantpress';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { failure } from './support/failure.js';
import { expectFigures, figures } from './support/figures.js';
import { floats, gguf, LLAMA, TYPE, wave } from './support/gguf.js';
import { WHALE, WHALE_IMATRIX } from './support/whale.js';

let whale: Model;

beforeAll(async () => {
  await init();
  whale = await openModel(WHALE);
});
afterAll(() => whale.close());

function of(tensor: TensorAnalysis | undefined, name: FormatName): FormatError {
  const found = tensor?.formats.find(({ format }) => format === name);
  if (!found || found.refusal) throw new Error(`${name} is ${found?.refusal?.message ?? 'missing'}`);
  return found;
}

describe('every weight', () => {
  const NAME = 'blk.1.ffn_down.weight';
  const FORMATS = ['Q4_0', 'Q6_K', 'IQ4_XS', 'IQ3_S', 'NVFP4', 'BF16', 'F16'] as const;

  test.each([undefined, WHALE_IMATRIX])('gives the figures of the formulas (imatrix: %s)', async (imatrix) => {
    const { tensors } = await analyzeModel(whale, { formats: FORMATS, sample: 'all', imatrix });
    expect(tensors.map(({ name }) => name)).toEqual(whale.tensors.map(({ name }) => name));
    const tensor = tensors.find(({ name }) => name === NAME);
    const weights = await whale.readTensor(NAME);
    const [rowLength = 0] = whale.tensor(NAME).shape;
    const importance = imatrix === undefined ? undefined : (await openImportance(imatrix)).get(NAME);
    expect(tensor).toMatchObject({ type: 'F16', weights: weights.length, sampled: weights.length });
    for (const name of FORMATS.slice(0, -1)) {
      const bytes = quantize(weights, name, { rowLength, ...(importance && { importance }) });
      const result = of(tensor, name);
      expect(result).toMatchObject({ bytes: bytes.length, sampled: weights.length });
      expect(result.bitsPerWeight).toBe((8 * bytes.length) / weights.length);
      expectFigures(result, figures(weights, dequantize(bytes, name), rowLength, importance));
    }
    expect(of(tensor, 'F16')).toMatchObject({
      rmse: 0,
      relativeRmse: 0,
      sqnrDb: Infinity,
      cosineSimilarity: 1,
      maxError: 0,
    });
    expect(of(tensor, 'Q6_K').weightedError === undefined).toBe(imatrix === undefined);
  });
});

describe('a sample', () => {
  test('gives the same figures with any number of workers, close to those of all weights', async () => {
    const options = { formats: ['Q4_K', 'IQ4_NL'] as const, sample: 1 << 15 };
    const [here, one, three, whole] = await Promise.all([
      analyzeModel(whale, { ...options, workers: 0 }),
      analyzeModel(whale, { ...options, workers: 1 }),
      analyzeModel(whale, { ...options, workers: 3 }),
      analyzeModel(whale, { ...options, sample: 'all' }),
    ]);
    expect(one).toEqual(here);
    expect(three).toEqual(here);
    for (const [index, tensor] of here.tensors.entries()) {
      if (tensor.formats.length === 0) continue;
      const all = whole.tensors[index];
      expect(tensor.sampled).toBeLessThanOrEqual(1 << 15);
      expect(of(tensor, 'Q4_K').sampled).toBe(tensor.sampled);
      expect(of(tensor, 'IQ4_NL').sampled).toBeLessThanOrEqual(tensor.sampled / 4);
      expect(of(tensor, 'Q4_K').relativeRmse / of(all, 'Q4_K').relativeRmse).toBeCloseTo(1, 1);
    }
  });
});

describe('invalid input', () => {
  test('is rejected format by format', async () => {
    const bad = floats('blk.1.ffn_up.weight', [256, 4], wave);
    new Float32Array(bad.bytes.buffer)[300] = Number.NaN;
    const large = floats('blk.0.attn_q.weight', [256, 4], (index) => (index === 77 ? 1e30 : 1));
    const model = await openModel(
      gguf(LLAMA, [
        floats('blk.0.ffn_up.weight', [96, 4], wave),
        bad,
        large,
        floats('blk.0.norm.weight', [256], wave),
        { name: 'ids', type: TYPE.I32, shape: [4, 4], bytes: new Uint8Array(64) },
      ]),
    );
    const { tensors } = await analyzeModel(model, { formats: ['Q4_0', 'Q4_K', 'IQ2_XS', 'Q8_1', 'F16', 'BF16'] });
    const refusals = tensors.map(({ formats }) => formats.map(({ refusal }) => refusal?.code));
    expect(refusals).toEqual([
      [undefined, 'LENGTH', 'LENGTH', 'UNSUPPORTED', undefined, undefined],
      // These two already reject the first stratum.
      ['NON_FINITE', 'NON_FINITE', 'NEEDS_IMPORTANCE', 'UNSUPPORTED', 'NON_FINITE', 'NON_FINITE'],
      ['UNREPRESENTABLE', 'UNREPRESENTABLE', 'NEEDS_IMPORTANCE', 'UNSUPPORTED', 'UNREPRESENTABLE', undefined],
      [],
      [],
    ]);
    expect(tensors.map(({ sampled }) => sampled)).toEqual([384, 1024, 1024, 0, 0]);
  });

  test('is rejected as an argument', async () => {
    const formats = ['Q9_K' as FormatName];
    expect(await failure(analyzeModel(whale, { formats }))).toMatchObject({ code: 'UNKNOWN_NAME' });
    for (const sample of [0, -1, 0.5, Number.NaN]) {
      expect(await failure(analyzeModel(whale, { sample }))).toMatchObject({ code: 'RANGE' });
    }
    expect(await failure(analyzeModel({} as Model))).toMatchObject({ code: 'ARGUMENT' });
    const narrow = await openModel(gguf(LLAMA, [floats('blk.0.attn_q.weight', [32, 4], wave)]));
    const error = await failure(analyzeModel(narrow, { imatrix: WHALE_IMATRIX }));
    expect(error).toMatchObject({ code: 'LENGTH', details: { tensor: 'blk.0.attn_q.weight', expected: 32 } });
  });
});

describe('the analysis', () => {
  test('reports progress and each tensor when it is complete', async () => {
    const finished: TensorAnalysis[] = [];
    const steps: number[] = [];
    const { tensors } = await analyzeModel(whale, {
      formats: ['Q8_0'],
      onProgress: ({ tensor, done, total, finished: complete }) => {
        steps.push(done / total);
        if (complete) finished.push(complete);
        expect(complete?.name ?? tensor).toBe(tensor);
      },
    });
    expect(steps.at(-1)).toBe(1);
    expect(steps).toEqual([...steps].sort((a, b) => a - b));
    const measured = tensors.filter(({ sampled }) => sampled > 0);
    expect(finished.toSorted((a, b) => (a.name < b.name ? -1 : 1))).toEqual(
      measured.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    );
  });

  test.each([0, 2])('stops on a signal (%i workers)', async (workers) => {
    const controller = new AbortController();
    const reason = new Error('enough');
    const run = analyzeModel(whale, { workers, signal: controller.signal, onProgress: () => controller.abort(reason) });
    await expect(run).rejects.toBe(reason);
    await expect(analyzeModel(whale, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });

  test('does not wait for a stuck source when it is aborted', async () => {
    const stuck = { size: whale.source.size, read: whale.source.read.bind(whale.source) };
    const model = await openModel(stuck);
    stuck.read = () => new Promise(() => {});
    const signal = AbortSignal.timeout(50);
    await expect(analyzeModel(model, { signal, workers: 1 })).rejects.toMatchObject({ name: 'TimeoutError' });
  });
});

describe('histograms', () => {
  test('count the weights and errors of a format', async () => {
    const name = 'blk.0.attn_q.weight';
    const { sampled, weights, errors } = await tensorHistogram(whale, name, {
      bins: 10,
      format: 'Q4_K',
      sample: 'all',
    });
    const original = await whale.readTensor(name);
    const decoded = dequantize(quantize(original, 'Q4_K', { rowLength: 256 }), 'Q4_K');
    const all = [...original].map((x, index) => (decoded[index] ?? 0) - x);
    const reach = Math.max(...all.map(Math.abs));
    expect(sampled).toBe(original.length);
    expect(weights).toMatchObject({ min: Math.min(...original), max: Math.max(...original), below: 0, above: 0 });
    expect(errors).toMatchObject({ min: -reach, max: reach });
    const counts = Array(10).fill(0);
    for (const e of all) counts[Math.min(9, Math.floor(((e + reach) / (2 * reach)) * 10))] += 1;
    expect(errors?.counts).toEqual(counts);
    expect((await tensorHistogram(whale, 'blk.0.attn_norm.weight')).errors).toBeUndefined();
    expect(await failure(tensorHistogram(whale, 'nothing'))).toMatchObject({ code: 'UNKNOWN_NAME' });
    expect(await failure(tensorHistogram(whale, name, { bins: 0 }))).toMatchObject({ code: 'RANGE' });
  });
});
