/** The analysis of a Hugging Face folder has the tensors of its plans, for every converted family. */

import {
  analyzeModel,
  bestMix,
  init,
  MemoryTarget,
  openModel,
  planModel,
  quantizeModel,
  tensorHistogram,
  type FormatName,
  type Model,
  type ModelAnalysis,
} from 'quantpress';
import { beforeAll, describe, expect, test } from 'vitest';
import { folder } from './support/files.js';
import { GOLDEN_NAMES, goldenFolder, whaleFolder } from './support/hugging-face.js';
import { safetensorsFile } from './support/safetensors.js';
import { WHALE_IMATRIX } from './support/whale.js';

beforeAll(() => init());

/** The folder's model, and its conversion to GGUF in its own precision. */
async function both(path: string): Promise<{ model: Model; converted: Model; close(): Promise<void> }> {
  const model = await openModel(path);
  const target = new MemoryTarget();
  await quantizeModel(model, target, 'COPY', { workers: 0 });
  const converted = await openModel(target.bytes ?? new Uint8Array(0));
  return {
    model,
    converted,
    close: async () => {
      await model.close();
      await converted.close();
    },
  };
}

/** The results that do not depend on a tensor's stored type or on the order of its rows; figures to twelve digits. */
function comparable({ tensors }: ModelAnalysis) {
  const figure = (value: unknown) => (typeof value === 'number' ? Number(value.toPrecision(12)) : value);
  return tensors.map(({ name, shape, weights, sampled, formats }) => ({
    ...{ name, shape, weights, sampled },
    formats: formats.map((result) =>
      Object.fromEntries(Object.entries(result).map(([key, value]) => [key, figure(value)])),
    ),
  }));
}

describe.each(GOLDEN_NAMES)('%s', (name) => {
  test('has the names of its plan and the figures of the converted file', async () => {
    const { model, converted, close } = await both(goldenFolder(folder().path, name));
    for (const sample of [700, 'all'] as const) {
      const options = { sample, formats: ['Q8_0', 'Q4_0', 'IQ4_NL'], workers: 0 } as const;
      const [ours, theirs] = [await analyzeModel(model, options), await analyzeModel(converted, options)];
      expect(comparable(ours)).toEqual(comparable(theirs));
    }
    const plan = await planModel(model, 'Q8_0');
    const { tensors } = await analyzeModel(model, { sample: 64, formats: ['Q8_0'], workers: 0 });
    expect(new Set(tensors.map((tensor) => tensor.name))).toEqual(
      new Set(plan.tensors.map(({ sourceName }) => sourceName)),
    );
    plan.free();
    await close();
  });
});

describe('Tiny Whale’s folder', () => {
  const FORMATS: readonly FormatName[] = ['Q4_K', 'Q6_K', 'IQ2_XS'];

  test('matches the GGUF names of an importance matrix, with any number of workers', async () => {
    const { model, converted, close } = await both(await whaleFolder(folder().path));
    const options = { sample: 5000, formats: FORMATS, imatrix: WHALE_IMATRIX };
    const here = await analyzeModel(model, { ...options, workers: 0 });
    expect(comparable(here)).toEqual(comparable(await analyzeModel(converted, { ...options, workers: 0 })));
    expect(await analyzeModel(model, { ...options, workers: 2 })).toEqual(here);
    const [{ formats = [] } = {}] = here.tensors.filter(({ name }) => name === 'blk.0.attn_q.weight');
    expect(formats.map((result) => 'weightedError' in result)).toEqual([true, true, true]);
    await close();
  });

  test('is measured from a source that no worker can open', async () => {
    const path = await whaleFolder(folder().path);
    const { model, converted, close } = await both(path);
    const { source } = model;
    Object.defineProperty(model, 'source', { value: { size: source.size, read: source.read.bind(source) } });
    const options = { sample: 5000, formats: FORMATS, workers: 1 };
    expect(comparable(await analyzeModel(model, options))).toEqual(comparable(await analyzeModel(converted, options)));
    await source.close?.();
    await close();
  });

  test('has the histograms of the converted file, also where rows are permuted', async () => {
    const { model, converted, close } = await both(await whaleFolder(folder().path));
    for (const name of ['blk.0.attn_q.weight', 'blk.1.attn_k.weight', 'output.weight']) {
      const options = { bins: 20, format: 'Q4_K', sample: 3000, workers: 0 } as const;
      expect(await tensorHistogram(model, name, options)).toEqual(await tensorHistogram(converted, name, options));
    }
    // Names of the file are still accepted.
    expect(await tensorHistogram(model, 'lm_head.weight', { sample: 3000, workers: 0 })).toEqual(
      await tensorHistogram(converted, 'output.weight', { sample: 3000, workers: 0 }),
    );
    await close();
  });

  test('has the same best mix as its converted file', async () => {
    const { model, converted, close } = await both(await whaleFolder(folder().path));
    const options = { sample: 1 << 14, formats: ['Q4_K', 'Q5_K', 'Q6_K', 'Q8_0'] as const, workers: 0 };
    const [ours, theirs] = [
      await bestMix(model, await analyzeModel(model, options), { targetBpw: 5 }),
      await bestMix(converted, await analyzeModel(converted, options), { targetBpw: 5 }),
    ];
    expect(ours.recipe).toEqual(theirs.recipe);
    await close();
  });
});

test('a model that cannot be converted is analyzed under its own names', async () => {
  const data = new Uint8Array(Float32Array.from({ length: 1024 }, (_, at) => Math.sin(at)).buffer);
  const bytes = safetensorsFile({ 'model.layers.0.self_attn.q_proj.weight': { dtype: 'F32', shape: [4, 256], data } });
  const model = await openModel(bytes);
  await expect(planModel(model, 'Q8_0')).rejects.toMatchObject({ code: 'UNSUPPORTED' });
  const { tensors } = await analyzeModel(model, { formats: ['Q8_0'], workers: 0 });
  expect(tensors).toMatchObject([{ name: 'model.layers.0.self_attn.q_proj.weight', sampled: 1024 }]);
  await model.close();
});
