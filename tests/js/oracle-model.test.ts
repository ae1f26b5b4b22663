/** Whole files against the live reference: llama.cpp's own llama_model_quantize makes them in the same test. */

import { writeFileSync } from 'node:fs';
import {
  generateGaussianWeights,
  init,
  openImportance,
  openModel,
  presets,
  quantizeModel,
  type QuantizeModelOptions,
  type Recipe,
} from 'quantpress';
import { beforeAll, describe, expect, test } from 'vitest';
import { folder, sha256 } from './support/files.js';
import { hasGgml } from './support/ggml.js';
import { llamaGenerate, llamaQuantize } from './support/llama.js';
import { smol } from './support/smol.js';
import { WHALE, WHALE_IMATRIX } from './support/whale.js';

beforeAll(() => init());

const PRESETS = ['Q4_0', 'Q8_0', 'Q6_K', 'Q4_K_M'];

async function convert(input: string, output: string, recipe: Recipe, options?: QuantizeModelOptions): Promise<void> {
  const model = await openModel(input);
  await quantizeModel(model, output, recipe, options);
  await model.close();
}

function ftypeOf(preset: string): number {
  const found = presets().find(({ name }) => name === preset);
  if (!found) throw new Error(`no preset ${preset}`);
  return found.ftype;
}

describe.runIf(hasGgml)('Tiny Whale', () => {
  test.each(PRESETS)('%s', async (preset) => {
    const { file } = folder();
    await llamaQuantize({ input: WHALE, output: file('theirs'), ftype: ftypeOf(preset) });
    await convert(WHALE, file('ours'), { preset });
    expect(sha256(file('ours'))).toBe(sha256(file('theirs')));
  });

  test('goes on telling its story in llama.cpp', async () => {
    const { file } = folder();
    await convert(WHALE, file('model.gguf'), { preset: 'Q4_K_M' });
    const text = await llamaGenerate({ model: file('model.gguf'), prompt: 'The white', tokens: 12 });
    expect(text).toMatch(/[a-z]{3,} [a-z]{2,}/i);
  });

  test.each(PRESETS)('%s with the importance matrix', async (preset) => {
    const { file } = folder();
    const imatrix = await openImportance(WHALE_IMATRIX);
    const entries = imatrix.entries();
    const values = entries.map(({ name }) => ({ name, values: imatrix.get(name) ?? new Float32Array() }));
    // What llama-quantize's command line adds, read back from the file it made (see WHALE_IMATRIX_SHA256).
    await convert(WHALE, file('ours'), { preset, imatrixFile: 'matrix.gguf' }, { imatrix });
    const ours = await openModel(file('ours'));
    const dataset = ours.metadata.get('quantize.imatrix.dataset');
    const chunks = ours.metadata.get('quantize.imatrix.chunks_count');
    await ours.close();
    const overrides = [
      { key: 'quantize.imatrix.file', value: 'matrix.gguf' },
      { key: 'quantize.imatrix.dataset', value: dataset && 'value' in dataset ? String(dataset.value) : '' },
      { key: 'quantize.imatrix.entries_count', value: entries.length },
      { key: 'quantize.imatrix.chunks_count', value: chunks && 'value' in chunks ? Number(chunks.value) : 0 },
    ];
    await llamaQuantize({ input: WHALE, output: file('theirs'), ftype: ftypeOf(preset), imatrix: values, overrides });
    expect(sha256(file('ours'))).toBe(sha256(file('theirs')));
    imatrix.free();
  });
});

describe.runIf(hasGgml)('SmolLM2-135M, whose rows of 576 make most tensors fall back', () => {
  let quantized: string;
  let whole: string;

  beforeAll(async () => {
    quantized = await smol();
    whole = `${quantized}.f16`;
    await convert(quantized, whole, { preset: 'F16', allowRequantize: true });
  });

  test('F16, re-created from Q4_1', async () => {
    const { file } = folder();
    const ftype = ftypeOf('F16');
    await llamaQuantize({ input: quantized, output: file('theirs'), ftype, allowRequantize: true });
    expect(sha256(whole)).toBe(sha256(file('theirs')));
  });

  test.each(PRESETS)('%s', async (preset) => {
    const { file } = folder();
    await llamaQuantize({ input: whole, output: file('theirs'), ftype: ftypeOf(preset) });
    await convert(whole, file('ours'), { preset });
    expect(sha256(file('ours'))).toBe(sha256(file('theirs')));
  });

  test.each(PRESETS)('%s with an importance matrix', async (preset) => {
    const { file } = folder();
    const model = await openModel(whole);
    const weighed = model.tensors.filter(({ name, shape }) => name.startsWith('blk.') && shape.length > 1);
    await model.close();
    const values = weighed.map(({ name, shape }, seed) => ({ name, values: importances(shape[0] ?? 0, seed) }));
    writeFileSync(file('matrix.dat'), legacyImatrix(values));
    const imatrix = await openImportance(file('matrix.dat'));
    await convert(whole, file('ours'), { preset, imatrixFile: 'matrix.dat' }, { imatrix });
    imatrix.free();
    const overrides = [
      { key: 'quantize.imatrix.file', value: 'matrix.dat' },
      { key: 'quantize.imatrix.dataset', value: 'generated' },
      { key: 'quantize.imatrix.entries_count', value: values.length },
      { key: 'quantize.imatrix.chunks_count', value: 1 },
    ];
    await llamaQuantize({ input: whole, output: file('theirs'), ftype: ftypeOf(preset), imatrix: values, overrides });
    expect(sha256(file('ours'))).toBe(sha256(file('theirs')));
  });

  test('knows the capital of France in llama.cpp', async () => {
    const { file } = folder();
    await convert(whole, file('model.gguf'), { preset: 'Q4_K_M' });
    const text = await llamaGenerate({ model: file('model.gguf'), prompt: 'The capital of France is', tokens: 3 });
    expect(text).toMatch(/^ Paris\b/);
  });
});

/** Importances as models have them: most near their mean, a few far above it. */
function importances(columns: number, seed: number): Float32Array {
  return Float32Array.from(generateGaussianWeights(columns, 0, 1, seed), (x) => x ** 2);
}

/** An importance matrix in llama.cpp's older form, of one chunk. */
function legacyImatrix(entries: readonly { name: string; values: Float32Array }[]): Uint8Array {
  const int = (value: number) => new Uint8Array(Int32Array.of(value).buffer);
  const text = (words: string) => [int(words.length), new TextEncoder().encode(words)];
  const parts = entries.flatMap(({ name, values }) => [
    ...text(name),
    int(1),
    int(values.length),
    new Uint8Array(values.buffer),
  ]);
  return Buffer.concat([int(entries.length), ...parts, int(1), ...text('generated')]);
}
