/** Models that are run: importance matrices, perplexity and divergence, with the bits of native code. */

import { readFileSync } from 'node:fs';
import {
  compareModels,
  evaluateModel,
  importanceOf,
  init,
  MemoryTarget,
  type Model,
  type ModelComparison,
  openImportance,
  openModel,
  quantizeModel,
  type RunProgress,
} from 'quantpress';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { failure } from './support/failure.js';
import { sha256 } from './support/files.js';
import { floats, gguf, LLAMA, wave } from './support/gguf.js';
import { ggufSplit } from './support/gguf-split.js';
import { safetensorsFile } from './support/safetensors.js';
import { WHALE, WHALE_CALIBRATION, WHALE_IMATRIX, WHALE_TEXT } from './support/whale.js';

/** As llama.cpp's tools read a file. */
const textOf = (path: string) => readFileSync(path, 'utf8').replace(/\n$/, '');

const file = new Uint8Array(readFileSync(WHALE));
const held = textOf(WHALE_TEXT);
const results = JSON.parse(readFileSync('tests/golden/inference/results.json', 'utf8'));

let model: Model;
let quantized: Uint8Array<ArrayBuffer>;

beforeAll(async () => {
  await init();
  model = await openModel(file);
  const { bytes } = await quantizeModel(model, new MemoryTarget(), 'Q4_0');
  quantized = bytes as Uint8Array<ArrayBuffer>;
});
afterAll(() => model.close());

/** Opens a model for one call. */
async function opened<T>(input: Parameters<typeof openModel>[0], use: (model: Model) => Promise<T>): Promise<T> {
  const model = await openModel(input);
  try {
    return await use(model);
  } finally {
    await model.close();
  }
}

/** Tiny Whale with other bytes in place of the first occurrence of some. */
function patched(from: string, to: string): Uint8Array<ArrayBuffer> {
  const bytes = file.slice();
  const at = Buffer.from(bytes.buffer).indexOf(from);
  expect(at).toBeGreaterThan(0);
  bytes.set(new TextEncoder().encode(to), at);
  return bytes;
}

/** Tiny Whale with NaN as the first weight of a tensor. */
function withNaN(name: string): Uint8Array<ArrayBuffer> {
  const bytes = file.slice();
  const { offset, type } = model.tensor(name);
  bytes.set(type === 'F32' ? [0, 0, 0xc0, 0x7f] : [0, 0x7e], offset);
  return bytes;
}

describe('importanceOf', () => {
  test('has the bytes of native code, and reports its progress', async () => {
    const steps: RunProgress[] = [];
    const options = { dataset: 'calib.txt', chunks: 4, onProgress: (progress: RunProgress) => steps.push(progress) };
    const { bytes, ...counts } = await importanceOf(model, textOf(WHALE_CALIBRATION), options);
    expect(sha256(bytes)).toBe(results.imatrix);
    expect(counts).toEqual({ tokens: 27_111, chunks: 4, chunkSize: 256 });
    expect(steps.length).toBeGreaterThan(model.tensors.length - 2);
    expect(steps.every(({ done }, index) => done >= (steps[index - 1]?.done ?? 0))).toBe(true);
    expect(steps.at(-1)).toMatchObject({ tensor: 'output_norm.weight' });
    expect(steps.at(-1)?.done).toBe(steps.at(-1)?.total);
  });

  test("has the tensors of llama-imatrix's file, and values close to those of all its chunks", async () => {
    const { bytes } = await importanceOf(model, textOf(WHALE_CALIBRATION), { chunks: 4 });
    const [ours, theirs] = [await openImportance(bytes), await openImportance(WHALE_IMATRIX)];
    expect(ours.entries()).toEqual(theirs.entries().map((entry) => ({ ...entry, counts: [4 * 256] })));
    for (const { name } of theirs.entries()) {
      const [a, b] = [ours.get(name), theirs.get(name)];
      const sum = (values: Float32Array) => values.reduce((total, value) => total + value, 0);
      expect(sum(a!) / sum(b!), name).toBeGreaterThan(0.8);
      expect(sum(a!) / sum(b!), name).toBeLessThan(1.25);
    }
  });

  test('collects the inputs of output.weight if asked to', async () => {
    const { bytes } = await importanceOf(model, held, { chunks: 1, chunkSize: 16, processOutput: true });
    const names = (await openImportance(bytes)).entries().map(({ name }) => name);
    expect(names).toHaveLength(29);
    expect(names).toContain('output.weight');
  });
});

describe('evaluateModel', () => {
  test('has the figures of native code, from a string and from bytes', async () => {
    const expected = { ...results.perplexity, chunks: 4, chunkSize: 256 };
    expect(await evaluateModel(model, held, { chunks: 4 })).toEqual(expected);
    expect(await evaluateModel(model, new TextEncoder().encode(held), { chunks: 4 })).toEqual(expected);
  });

  test('reads a split model, and one with a source of its own', async () => {
    const expected = await evaluateModel(model, held, { chunks: 2, chunkSize: 32 });
    const shards = ggufSplit(file, { maxTensors: 10 });
    expect(shards.length).toBeGreaterThan(2);
    const custom = { size: file.length, read: async (at: number, length: number) => file.slice(at, at + length) };
    for (const input of [shards, custom]) {
      expect(await opened(input, (model) => evaluateModel(model, held, { chunks: 2, chunkSize: 32 }))).toEqual(
        expected,
      );
    }
  });

  test('runs models at the same time', async () => {
    const options = { chunks: 2, chunkSize: 32 };
    const one = await evaluateModel(model, held, options);
    expect(await Promise.all([1, 2, 3].map(() => evaluateModel(model, held, options)))).toEqual([one, one, one]);
  });
});

describe('compareModels', () => {
  test('has the figures of native code', async () => {
    const found = await opened(quantized, (model2) => compareModels(model, model2, held, { chunks: 4 }));
    expect(found).toEqual({ ...results.divergence, chunks: 4, chunkSize: 256 } satisfies ModelComparison);
    // The order of the models matters.
    expect(found.perplexity.value).toBeGreaterThan(found.basePerplexity.value);
    expect(found.basePerplexity).toEqual(results.perplexity.perplexity);
  });

  test('finds no divergence between a model and itself', async () => {
    const found = await compareModels(model, model, held, { chunks: 2, chunkSize: 64 });
    expect(found).toMatchObject({ divergence: { value: 0 }, ratio: { value: 1 }, sameTop: { value: 1 } });
  });
});

describe('a run that cannot be completed', () => {
  const run = (input: Parameters<typeof openModel>[0], text: string | Uint8Array = held) =>
    failure(opened(input, (model) => evaluateModel(model, text, { chunks: 2, chunkSize: 16 })));

  test('names the architecture that is not supported', async () => {
    expect(await run(patched('llama', 'mamba'))).toMatchObject({
      code: 'UNSUPPORTED',
      message: expect.stringMatching(/^cannot run mamba: the supported architectures are llama, /),
      details: { architecture: 'mamba' },
    });
  });

  test('names the tensor that is missing', async () => {
    const small = gguf({ ...LLAMA, 'llama.embedding_length': 64, 'llama.feed_forward_length': 64 }, [
      floats('token_embd.weight', [64, 4], wave),
    ]);
    expect(await run(small)).toMatchObject({ code: 'MALFORMED' });
    expect(await run(patched('blk.3.ffn_up', 'blk.3.ffn_ux'))).toMatchObject({
      code: 'MALFORMED',
      message: "the model has no tensor 'blk.3.ffn_up.weight'",
      details: { tensor: 'blk.3.ffn_up.weight' },
    });
  });

  test('explains that there is no tokenizer, or an unknown one', async () => {
    expect(await run(patched('tokenizer.ggml.model', 'tokenizer.ggml.modex'))).toMatchObject({
      code: 'UNSUPPORTED',
      message: "the model has no tokenizer: 'tokenizer.ggml.model' is missing",
    });
    expect(await run(patched('gpt2', 'rwkv'))).toMatchObject({ code: 'UNSUPPORTED', details: { model: 'rwkv' } });
  });

  test('explains that a safetensors model must be converted', async () => {
    const folder = safetensorsFile({ 'a.weight': { dtype: 'F32', shape: [2, 32], data: new Uint8Array(256) } });
    expect(await run(folder)).toMatchObject({
      code: 'UNSUPPORTED',
      message: expect.stringContaining('only GGUF models can be run'),
    });
  });

  test.each(['', 'short', '\0'.repeat(8)])('%j is too short', async (text) => {
    expect(await run(file, text)).toMatchObject({ code: 'NO_DATA', details: { expected: 32 } });
  });

  test('refuses what is not a text, and one that is too long', async () => {
    for (const text of [undefined, 7, null, {}, [], new Float32Array(4)]) {
      expect(await failure(evaluateModel(model, text as never))).toMatchObject({ code: 'ARGUMENT' });
    }
    expect(await run(file, new Uint8Array(2 ** 27 + 1))).toMatchObject({ code: 'TOO_LARGE' });
  });

  test('names the place of values that are not finite', async () => {
    expect(await run(withNaN('output_norm.weight'))).toMatchObject({
      code: 'NON_FINITE',
      message: 'chunk 0, token 8: the logits of the model are NaN or infinite',
    });
    const broken = withNaN('blk.2.ffn_up.weight');
    const error = await failure(opened(broken, (model) => importanceOf(model, held, { chunks: 2, chunkSize: 16 })));
    expect(error).toMatchObject({ code: 'NON_FINITE', details: { tensor: 'blk.2.ffn_down.weight', index: 0 } });
  });

  test('refuses to compare models with different vocabularies', async () => {
    const other = patched('<|endoftext|>', '<|endoftexx|>');
    const error = await failure(opened(other, (model2) => compareModels(model, model2, held)));
    expect(error).toMatchObject({ code: 'ARGUMENT', message: expect.stringContaining('different vocabularies') });
  });

  test('stops at once when it is aborted, and the next run works', async () => {
    const stop = new AbortController();
    const reason = new Error('enough');
    let after = 0;
    const onProgress = () => {
      if (stop.signal.aborted) after += 1;
      stop.abort(reason);
    };
    const error = await evaluateModel(model, held, { signal: stop.signal, onProgress }).catch((error) => error);
    expect(error).toBe(reason);
    expect(after).toBe(0);
    expect((await evaluateModel(model, held, { chunks: 1, chunkSize: 16 })).tokens).toBe(7);
    const before = await importanceOf(model, held, { signal: AbortSignal.abort(reason) }).catch((error) => error);
    expect(before).toBe(reason);
  });

  test('passes on the error of its source', async () => {
    let reads = 0;
    const failing = {
      size: file.length,
      async read(at: number, length: number) {
        reads += 1;
        if (reads > 5) throw new Error('the disk is gone');
        return file.slice(at, at + length);
      },
    };
    const error = await opened(failing, (model) => evaluateModel(model, held)).catch((error) => error);
    expect(error.message).toBe('the disk is gone');
  });
});
