import { readFileSync } from 'node:fs';
import { init, type Model, openImportance, openModel, planModel, type PresetName, presets } from 'quantpress';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { failure } from './support/failure.js';
import { floats, gguf, LLAMA, wave } from './support/gguf.js';
import { WHALE as PATH, WHALE_IMATRIX } from './support/whale.js';

// As bytes, which also work in pages; tests/js/source.test.ts covers paths.
const WHALE = readFileSync(PATH);

beforeAll(() => init());

async function open(input: Parameters<typeof openModel>[0]): Promise<Model> {
  const model = await openModel(input);
  onTestFinished(() => model.close());
  return model;
}

describe('openModel', () => {
  test('reads metadata and tensors', async () => {
    const model = await open(WHALE);
    expect(model).toMatchObject({ container: 'gguf', version: 3, alignment: 32 });
    expect(model.metadata.get('general.architecture')).toEqual({ type: 'string', value: 'llama' });
    expect(model.metadata.get('llama.block_count')).toEqual({ type: 'uint32', value: 4 });
    const tokens = model.metadata.get('tokenizer.ggml.tokens');
    expect(tokens).toMatchObject({ type: 'array', of: 'string', length: 1024 });
    expect(tokens && 'head' in tokens && tokens.head).toHaveLength(64);
    expect(model.tensor('token_embd.weight')).toMatchObject({ type: 'F16', shape: [256, 1024], bytes: 2 * 256 * 1024 });
    expect(model.tensors.length).toBeGreaterThan(30);
  });

  test('reads more of a header that is longer than the first read', async () => {
    const words = Array.from({ length: 60_000 }, (_, index) => `word number ${index}`);
    const bytes = gguf({ ...LLAMA, 'test.words': words }, [floats('a.weight', [32, 2], wave)]);
    const reads: number[] = [];
    const source = {
      size: bytes.length,
      read: async (offset: number, length: number) => {
        reads.push(length);
        return bytes.slice(offset, offset + length);
      },
    };
    const model = await open(source);
    expect(model.metadata.get('test.words')).toMatchObject({ length: 60_000 });
    expect(model.headerBytes).toBeGreaterThan(1 << 20);
    expect(reads.length).toBeGreaterThan(1);
    expect(reads.length).toBeLessThan(8);
    expect(reads.reduce((sum, length) => sum + length, 0)).toBeLessThanOrEqual(bytes.length);
  });

  test.each([
    ['nothing', new Uint8Array(0), 'TRUNCATED'],
    ['text', new TextEncoder().encode('a letter, not a model: it has no magic at all'), 'MAGIC'],
    ['a header cut short', gguf(LLAMA, [floats('a.weight', [32, 2], wave)]).slice(0, 100), 'TRUNCATED'],
    ['a tensor cut short', gguf(LLAMA, [floats('a.weight', [32, 2], wave)]).slice(0, -33), 'TRUNCATED'],
  ])('refuses %s', async (_, bytes, code) => {
    expect(await failure(openModel(bytes))).toMatchObject({ code });
  });
});

describe('readTensor', () => {
  const weights = Float32Array.from({ length: 64 * 5 }, (_, index) => wave(index));

  test('returns all rows, or some', async () => {
    const model = await open(gguf(LLAMA, [floats('a.weight', [64, 5], wave), floats('b.weight', [32], wave)]));
    expect(await model.readTensor('a.weight')).toEqual(weights);
    expect(await model.readTensor('a.weight', { rows: [1, 3] })).toEqual(weights.slice(64, 192));
    expect(await model.readTensor('a.weight', { rows: [5, 5] })).toEqual(new Float32Array(0));
    expect(await model.readTensor('b.weight')).toEqual(weights.slice(0, 32));
  });

  test('rejects rows and tensors that do not exist', async () => {
    const model = await open(gguf(LLAMA, [floats('a.weight', [64, 5], wave)]));
    expect(await failure(model.readTensor('none'))).toMatchObject({ code: 'UNKNOWN_NAME' });
    expect(await failure(model.readTensor('a.weight', { rows: [3, 6] }))).toMatchObject({ code: 'RANGE' });
    expect(await failure(model.readTensor('a.weight', { rows: [3, 2] }))).toMatchObject({ code: 'RANGE' });
  });
});

describe('planModel', () => {
  test('plans without reading a tensor', async () => {
    const bytes = WHALE;
    let read = 0;
    const model = await open({
      size: bytes.length,
      read: async (offset, length) => {
        read = Math.max(read, offset + length);
        return new Uint8Array(bytes.subarray(offset, offset + length));
      },
    });
    const plan = await planModel(model, 'Q4_K_M');
    expect(read).toBeLessThan(1 << 19);
    expect(plan.size).toBe(2_289_760);
    const types = Object.fromEntries(plan.tensors.map(({ name, to }) => [name, to]));
    expect(types).toMatchObject({
      'output.weight': 'Q6_K',
      'token_embd.weight': 'Q4_K',
      'output_norm.weight': 'F32',
      'blk.1.ffn_up.weight': 'Q4_K',
    });
    expect(plan.tensors.every(({ why }) => why.length > 0)).toBe(true);
    const last = plan.tensors.at(-1);
    expect((last?.targetOffset ?? 0) + (last?.paddedBytes ?? 0)).toBe(plan.size);
    plan.free();
  });

  test("names the tensors that lack importance, and does not free the caller's matrix", async () => {
    const model = await open(WHALE);
    const without = await planModel(model, 'IQ2_XXS');
    expect(without.missingImportance).toContain('blk.0.ffn_up.weight');
    expect(without.missingImportance).not.toContain('token_embd.weight');
    without.free();
    const imatrix = await openImportance(readFileSync(WHALE_IMATRIX));
    const plan = await planModel(model, 'IQ2_XXS', { imatrix });
    expect(plan.missingImportance).toEqual([]);
    expect(plan.importance(plan.tensors.findIndex(({ name }) => name === 'blk.0.ffn_down.weight'))).toHaveLength(768);
    expect(plan.importance(plan.tensors.findIndex(({ name }) => name === 'output_norm.weight'))).toBeUndefined();
    expect(imatrix.get('blk.0.ffn_up.weight')).toHaveLength(256);
    plan.free();
    imatrix.free();
  });

  test('accepts the name of a preset in any case', async () => {
    const model = await open(WHALE);
    const [lower, upper] = [await planModel(model, 'q4_k_m' as PresetName), await planModel(model, 'Q4_K_M')];
    expect(lower.tensors).toEqual(upper.tensors);
    lower.free();
    upper.free();
  });

  test('rejects presets and options that do not exist', async () => {
    const model = await open(WHALE);
    expect(await failure(planModel(model, 'Q4_K_X' as PresetName))).toMatchObject({ code: 'UNKNOWN_NAME' });
    expect(await failure(planModel(model, { preset: 'Q4_0', outputTensorType: 'Q9' as never }))).toMatchObject({
      code: 'UNKNOWN_NAME',
    });
    expect(await failure(planModel(model, { preset: 'Q4_0', pruned: [1] } as never))).toMatchObject({
      code: 'ARGUMENT',
    });
  });
});

test('PresetName lists every preset of the engine in its order', () => {
  const source = readFileSync('js/model/recipe.ts', 'utf8');
  const union = /export type PresetName =([^;]+);/.exec(source)?.[1] ?? '';
  expect([...union.matchAll(/'(\w+)'/g)].map(([, name]) => name)).toEqual(presets().map(({ name }) => name));
});

test('presets() has llama-quantize’s names and numbers', () => {
  const numbers = Object.fromEntries(presets().map(({ name, ftype }) => [name, ftype]));
  expect(numbers).toMatchObject({ Q4_0: 2, Q8_0: 7, Q4_K_M: 15, Q6_K: 18, IQ2_XXS: 19, F16: 1 });
});
