/** Whole files against the live reference: llama.cpp's own llama_model_quantize writes them in the same test. */

import { init, openImportance, openModel, type PresetName } from 'quantpress';
import { beforeAll, describe, expect, test } from 'vitest';
import { folder, sha256 } from './support/files.js';
import { hasGgml } from './support/ggml.js';
import { llamaGenerate, llamaQuantize } from './support/llama.js';
import { smol } from './support/smol.js';
import { WHALE, WHALE_IMATRIX } from './support/whale.js';
import { byBoth, convert, ftypeOf, smolInF16, weighingOf } from './support/whole-file.js';

beforeAll(() => init());

const PRESETS: PresetName[] = ['Q4_0', 'Q8_0', 'Q6_K', 'Q4_K_M'];

describe.runIf(hasGgml)('Tiny Whale', () => {
  test.each(PRESETS)('%s', async (preset) => {
    const { file } = folder();
    await llamaQuantize({ input: WHALE, output: file('theirs'), ftype: ftypeOf(preset) });
    await convert(WHALE, file('ours'), { preset });
    expect(sha256(file('ours'))).toBe(sha256(file('theirs')));
  });

  test('generates text in llama.cpp', async () => {
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
  let whole: string;

  beforeAll(async () => {
    whole = await smolInF16();
  });

  test('writes F16 from Q4_1 as llama.cpp does', async () => {
    const { file } = folder();
    const input = await smol();
    await llamaQuantize({ input, output: file('theirs'), ftype: ftypeOf('F16'), allowRequantize: true });
    await convert(input, file('ours'), { preset: 'F16', allowRequantize: true });
    expect(sha256(file('ours'))).toBe(sha256(file('theirs')));
    expect(sha256(whole)).toBe(sha256(file('theirs')));
  });

  // tests/large has all presets.
  test.each(PRESETS)('%s', async (preset) => {
    const { ours, theirs } = await byBoth(whole, preset);
    expect(ours).toBe(theirs);
  });

  test.each(PRESETS)('%s with an importance matrix', async (preset) => {
    const weighing = await weighingOf(whole, folder().file('matrix.dat'));
    const { ours, theirs } = await byBoth(whole, preset, weighing);
    expect(ours).toBe(theirs);
  });

  test('completes a fact in llama.cpp', async () => {
    const { file } = folder();
    await convert(whole, file('model.gguf'), { preset: 'Q4_K_M' });
    const text = await llamaGenerate({ model: file('model.gguf'), prompt: 'The capital of France is', tokens: 3 });
    expect(text).toMatch(/^ Paris\b/);
  });
});
