import { readFileSync, writeFileSync } from 'node:fs';
import {
  diffModels,
  init,
  MemoryTarget,
  type Model,
  openModel,
  type PresetName,
  quantizeModel,
  quantize,
} from 'quantpress';
import { beforeAll, describe, expect, test } from 'vitest';
import { expectSentence, quantpress } from './support/cli.js';
import { failure } from './support/failure.js';
import { expectFigures, figures } from './support/figures.js';
import { folder } from './support/files.js';
import { floats, gguf, LLAMA, type TestTensor, TYPE, wave } from './support/gguf.js';
import { WHALE } from './support/whale.js';

beforeAll(() => init());

async function quantized(preset: PresetName): Promise<Uint8Array<ArrayBuffer>> {
  const whale = await openModel(WHALE);
  const target = new MemoryTarget();
  await quantizeModel(whale, target, preset);
  await whale.close();
  if (!target.bytes) throw new Error('nothing was written');
  return target.bytes;
}

/** A safetensors file, straight from its specification. */
function safetensors(tensors: Record<string, { dtype: string; shape: number[]; bytes: Uint8Array }>): Uint8Array {
  let at = 0;
  const entries = Object.entries(tensors).map(([name, { dtype, shape, bytes }]) => {
    const offsets = [at, at + bytes.length];
    at += bytes.length;
    return [name, { dtype, shape, data_offsets: offsets }];
  });
  const header = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([length, header, ...Object.values(tensors).map(({ bytes }) => bytes)]);
}

const opened = (tensors: TestTensor[], metadata = {}): Promise<Model> =>
  openModel(gguf({ ...LLAMA, ...metadata }, tensors));

describe('two models', () => {
  test('have no differences if they are equal', async () => {
    const [a, b] = [await openModel(WHALE), await openModel(new Uint8Array(readFileSync(WHALE)))];
    const { equal, tensors, metadata } = await diffModels(a, b);
    expect({ equal, metadata }).toEqual({ equal: true, metadata: [] });
    expect(tensors.map(({ status, error }) => `${status} ${error?.maxError}`)).toEqual(Array(39).fill('same 0'));
    await a.close();
  });

  test.each([
    ['F16 and Q4_K_M', 0, 2],
    ['Q8_0 and Q4_K_M', 1, 2],
  ])('%s differ by the error of their formulas, with any number of workers', async (_, first, second) => {
    const files = [new Uint8Array(readFileSync(WHALE)), await quantized('Q8_0'), await quantized('Q4_K_M')];
    const [a, b] = [await openModel(files[first] ?? ''), await openModel(files[second] ?? '')];
    const found = await diffModels(a, b);
    expect(await diffModels(a, b, { workers: 0 })).toEqual(found);
    expect(found.equal).toBe(false);
    expect(found.tensors.map(({ name }) => name)).toEqual(a.tensors.map(({ name }) => name));
    for (const { name, types, status, error } of found.tensors) {
      expect(types).toEqual([a.tensor(name).type, b.tensor(name).type]);
      if (types[0] === types[1]) expect({ status, error: error?.rmse }).toEqual({ status: 'same', error: 0 });
      else {
        expect(status).toBe('weights');
        expectFigures(error ?? {}, figures(await a.readTensor(name), await b.readTensor(name), 1));
      }
    }
    const keys = found.metadata.map(({ key }) => key);
    expect(keys).toContain('general.file_type');
  });

  test('in different containers are compared by tensor name', async () => {
    const weights = Float32Array.from({ length: 512 }, (_, index) => wave(index));
    const bytes = (values: Float32Array) => new Uint8Array(values.buffer);
    const half = quantize(weights, 'F16');
    const a = await openModel(
      safetensors({
        'a.weight': { dtype: 'F32', shape: [2, 256], bytes: bytes(weights) },
        'b.weight': { dtype: 'F16', shape: [512], bytes: half },
        'c.weight': { dtype: 'F32', shape: [512], bytes: bytes(weights) },
      }),
    );
    const b = await opened([
      { name: 'a.weight', type: TYPE.Q8_0, shape: [256, 2], bytes: quantize(weights, 'Q8_0') },
      { name: 'b.weight', type: TYPE.F32, shape: [512], bytes: bytes(await a.readTensor('b.weight')) },
      floats('d.weight', [32], wave),
    ]);
    const { equal, tensors, metadata } = await diffModels(a, b);
    expect({ equal, metadata }).toEqual({ equal: false, metadata: [] });
    expect(tensors.map(({ name, status }) => `${name} ${status}`)).toEqual([
      'a.weight weights',
      'b.weight type',
      'c.weight missing',
      'd.weight missing',
    ]);
    expect(tensors[1]?.error).toMatchObject({ rmse: 0, sqnrDb: Infinity, cosineSimilarity: 1 });
    expect(tensors[3]).toMatchObject({ types: [undefined, 'F32'], shapes: [undefined, [32]] });
    expectFigures(tensors[0]?.error ?? {}, figures(weights, await b.readTensor('a.weight'), 256));
  });

  test('differ in a single last weight, in integers, and in shape', async () => {
    const large = (last: number) => floats('large', [1024, 1100], (index) => (index === 1024 * 1100 - 1 ? last : 0.5));
    const integers = (byte: number) => ({
      name: 'ids',
      type: TYPE.I32,
      shape: [4],
      bytes: new Uint8Array(16).fill(byte),
    });
    const a = await opened([large(1), integers(1), floats('shape', [4, 8], wave)]);
    const b = await opened([large(1.25), integers(2), floats('shape', [8, 4], wave)]);
    const { tensors } = await diffModels(a, b);
    expect(tensors.map(({ status }) => status)).toEqual(['weights', 'weights', 'shape']);
    expect(tensors[0]?.error).toMatchObject({ maxError: 0.25, rmse: Math.sqrt(0.0625 / (1024 * 1100)) });
    expect(tensors[1]?.error).toMatchObject({ maxError: Math.fround(0x02020202) - Math.fround(0x01010101) });
    expect(tensors[2]?.error).toBeUndefined();
    expect((await diffModels(a, await opened([large(1), integers(1), floats('shape', [4, 8], wave)]))).equal).toBe(
      true,
    );
    const other = await diffModels(
      a,
      await opened([large(1), integers(1), floats('shape', [4, 8], wave)], { 'a.b': 7 }),
    );
    expect(other.metadata).toEqual([{ key: 'a.b', values: [undefined, { type: 'uint32', value: 7 }] }]);
    expect(other.equal).toBe(false);
  });

  test('with NaN weights are equal if the NaNs match, and an error otherwise', async () => {
    const of = (bad: number) => floats('blk.0.attn_q.weight', [32], (index) => (index === 5 ? bad : 1));
    const a = await opened([of(Number.NaN)]);
    expect((await diffModels(a, await opened([of(Number.NaN)]))).equal).toBe(true);
    const error = await failure(diffModels(a, await opened([of(2)])));
    expect(error).toMatchObject({ code: 'NON_FINITE', details: { tensor: 'blk.0.attn_q.weight' } });
    expect(await failure(diffModels(a, {} as Model))).toMatchObject({ code: 'ARGUMENT' });
    await expect(diffModels(a, a, { signal: AbortSignal.abort('enough') })).rejects.toBe('enough');
  });
});

describe('quantpress diff', () => {
  test('prints what differs and sets its exit code', async () => {
    const { file } = folder();
    writeFileSync(file('q4.gguf'), await quantized('Q4_0'));
    expect(await quantpress(['diff', WHALE, WHALE])).toMatchObject({
      code: 0,
      stdout: 'no difference: 39 tensors are bit-identical\n',
    });
    const { code, stdout } = await quantpress(['diff', WHALE, file('q4.gguf')]);
    expect(code).toBe(1);
    expect(stdout).toMatch(/general\.file_type +1 +2\n/);
    expect(stdout).toMatch(/blk\.0\.attn_q\.weight +F16 +Q4_0 +8\.\d\d +2\d\.\d\d +0\.99\d+ +0\.\d+ +weights\n/);
    expect(stdout).toMatch(
      /30 of 39 tensors differ, 9 are bit-identical\nweight error \(RMS, relative\): 8\.28%, of B against A\n$/,
    );
    expect(await quantpress(['diff', '--quiet', WHALE, file('q4.gguf')])).toEqual({ code: 1, stdout: '', stderr: '' });
    const json = JSON.parse((await quantpress(['diff', '--json', WHALE, file('q4.gguf')])).stdout);
    expect(json).toMatchObject({ equal: false, tensors: expect.any(Array) });
    expect(json.tensors).toHaveLength(39);
  });

  test.each([
    [['diff']],
    [['diff', 'a']],
    [['diff', 'a', 'b', 'c']],
    [['diff', '--x', 'a', 'b']],
    [['diff', WHALE, 'gone']],
  ])('%j exits with 2', async (args) => {
    const outcome = await quantpress(args);
    expect(outcome).toMatchObject({ code: 2, stdout: '' });
    expectSentence(outcome);
  });
});
