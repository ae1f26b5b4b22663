/** Models in several GGUF files: opened in any order, found by name, quantized to the bytes llama.cpp writes for them. */

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import {
  init,
  MemoryTarget,
  openModel,
  openSource,
  quantizeModel,
  verifyModel,
  type ModelInput,
  type PresetName,
} from 'quantpress';
import { beforeAll, describe, expect, test } from 'vitest';
import { failure } from './support/failure.js';
import { folder, sha256 } from './support/files.js';
import { ggufSplit, shardName } from './support/gguf-split.js';
import { floats, gguf, LLAMA, wave } from './support/gguf.js';
import { hasGgml } from './support/ggml.js';
import { llamaQuantize } from './support/llama.js';
import { serve } from './support/range-server.js';
import { WHALE, WHALE_SHA256 } from './support/whale.js';

beforeAll(() => init());

const whale = ggufSplit(readFileSync(WHALE), { maxTensors: 15 });
const small = gguf(LLAMA, [
  floats('a.weight', [32, 4], wave),
  floats('b.weight', [64, 3], (index) => wave(index + 7)),
  floats('c.weight', [32, 2], (index) => wave(index + 9)),
]);
const shards = ggufSplit(small, { maxTensors: 1 });

/** Writes shards as files and returns the path of the first. */
function written(parts: readonly Uint8Array[], place = folder()): string {
  const path = (index: number) => place.file(shardName('model', index, parts.length));
  for (const [index, bytes] of parts.entries()) writeFileSync(path(index), bytes);
  return path(0);
}

async function quantized(input: ModelInput, preset: PresetName, workers: number): Promise<string> {
  const target = new MemoryTarget();
  const model = await openModel(input);
  await quantizeModel(model, target, preset, { workers });
  await model.close();
  return sha256(target.bytes as Uint8Array);
}

describe('a split model', () => {
  const [a, b, c] = whale as [Uint8Array, Uint8Array, Uint8Array];

  test.each([
    ['in order', [a, b, c]],
    ['in any other', [c, a, b]],
    ['as Blobs', [new Blob([new Uint8Array(b)]), new Blob([new Uint8Array(a)]), new Blob([new Uint8Array(c)])]],
  ] as const)('of bytes, %s', async (_, parts) => {
    expect(whale.length).toBe(3);
    expect(await quantized(parts, 'Q4_K_M', 2)).toBe(WHALE_SHA256.Q4_K_M);
  });

  test('of files is found by the name of the first, and workers read the files themselves', async () => {
    const model = await openModel(written(whale));
    expect(model.source.describe?.()).toMatchObject({ kind: 'joined', parts: { length: 3 } });
    await model.close();
    expect(await quantized(written(whale), 'Q4_0', 2)).toBe(WHALE_SHA256.Q4_0);
  });

  test('of URLs is found by the name of the first, and keeps the query string', async () => {
    const asked = new Set<string>();
    const url = await serve(a, (request, response) => {
      const number = Number(/-(\d{5})-of-00003\.gguf\?key=1$/.exec(request.url ?? '')?.[1]);
      asked.add(request.url ?? '');
      const bytes = whale[number - 1] ?? new Uint8Array();
      const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
      const body = bytes.subarray(Number(first), Number(last) + 1);
      const range = `bytes ${first}-${Number(first) + body.length - 1}/${bytes.length}`;
      response.writeHead(206, { 'content-range': range, etag: `"${number}"` }).end(body);
      return true;
    });
    const first = new URL('/a/b/whale-00001-of-00003.gguf?key=1', url);
    expect(await quantized(first, 'Q8_0', 2)).toBe(WHALE_SHA256.Q8_0);
    expect(asked.size).toBe(3);
  });

  test('has the tensors of all shards, and its hash covers the concatenated files', async () => {
    const model = await openModel(shards.toReversed());
    expect(model.tensors.map(({ name }) => name)).toEqual(['a.weight', 'b.weight', 'c.weight']);
    const weights = Float32Array.from({ length: 64 }, (_, index) => wave(index + 64 + 7));
    expect(await model.readTensor('b.weight', { rows: [1, 2] })).toEqual(weights);
    const { manifest, problems } = await verifyModel(model);
    expect(problems).toEqual([]);
    expect(manifest.sha256).toBe(sha256(Buffer.concat(shards)));
    await model.close();
  });

  test('can have a first shard without tensors', async () => {
    const parts = ggufSplit(small, { maxTensors: 2 }, true);
    expect(parts.length).toBe(3);
    expect(await quantized(parts, 'COPY', 0)).toBe(await quantized(small, 'COPY', 0));
  });
});

describe('a wrong or incomplete set of shards', () => {
  const [a, b, c] = shards as [Uint8Array, Uint8Array, Uint8Array];
  const other = ggufSplit(gguf(LLAMA, [floats('x.weight', [32, 4], wave), floats('y.weight', [32, 4], wave)]), {
    maxTensors: 1,
  }) as [Uint8Array, Uint8Array];
  test.each([
    ['the last is missing', [b, a], 'ARGUMENT', 'shard 3 of 3 is missing'],
    ['the middle is missing', [c, a], 'ARGUMENT', 'shard 2 of 3 is missing'],
    ['the first is missing', [c, b], 'ARGUMENT', 'shard 1 of 3 is missing'],
    ['one alone', [b], 'ARGUMENT', 'shard 1 of 3 is missing'],
    ['one twice', [b, a, b, c], 'ARGUMENT', 'shard 2 of 3 is given twice'],
    [
      'one that belongs to another model',
      [a, other[1], c],
      'ARGUMENT',
      'shard 2 of 2 does not belong to the same model',
    ],
    ['a whole model among them', [a, small], 'ARGUMENT', 'is a whole model, not a shard'],
    ['two whole models', [small, small], 'ARGUMENT', 'is a whole model, not a shard'],
    [
      'a tensor twice',
      [a, b, ggufSplit(small, { maxTensors: 1 }).map((s, i) => (i === 2 ? renamed(s) : s))[2]],
      'MALFORMED',
      "tensor 'b.weight' is in shard 2 and in shard 3",
    ],
    ['nothing', [], 'NOT_FOUND', 'no GGUF or safetensors file'],
  ] as const)('%s', async (_, parts, code, says) => {
    expect(await failure(openModel(parts as ModelInput))).toMatchObject({
      code,
      message: expect.stringContaining(says),
    });
  });

  test('is rejected with a tensor too many or too few', async () => {
    const message = 'the shards have 3 tensors in total, but their metadata states 4';
    const four = [a, b, c].map((shard) => patched(shard, 'split.tensors.count', 4));
    expect(await failure(openModel(four))).toMatchObject({ code: 'MALFORMED', message });
  });

  test('is rejected if a shard states another architecture, file type or UUID than the first', async () => {
    const part = (number: number, more: Record<string, string | number>) =>
      gguf({ ...more, 'split.no': number, 'split.count': 2, 'split.tensors.count': 2 }, [
        floats(`${number}.weight`, [32, 4], wave),
      ]);
    const first = { ...LLAMA, 'general.file_type': 7, 'general.uuid': 'a' };
    const opened = await openModel([part(0, first), part(1, first)]); // Some tools copy all metadata to every shard.
    await opened.close();
    for (const other of [{ 'general.architecture': 'qwen2' }, { 'general.file_type': 15 }, { 'general.uuid': 'b' }]) {
      const message = `shard 2 of 2 does not belong to the same model as the first shard: their ${Object.keys(other)[0]} differs`;
      const set = [part(0, first), part(1, { ...first, ...other })];
      expect(await failure(openModel(set))).toMatchObject({ code: 'ARGUMENT', message });
    }
  });

  test('can be inspected, but not converted, if it is one shard alone', async () => {
    const model = await openModel(a);
    expect(model.tensors.length).toBe(1);
    const message = 'this file is shard 1 of 3; open all of them together';
    expect(await failure(quantizeModel(model, new MemoryTarget(), 'Q4_0'))).toMatchObject({
      code: 'UNSUPPORTED',
      message,
    });
    await model.close();
  });

  test('is rejected if a shard is not next to the first', async () => {
    const place = folder();
    const first = written(shards, place);
    rmSync(place.file(shardName('model', 1, 3)));
    expect(await failure(openModel(first))).toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('model-00002-of-00003.gguf'),
    });
  });

  test('is rejected if the name of the first does not give the others', async () => {
    const path = folder().file('renamed.gguf');
    writeFileSync(path, a);
    expect(await failure(openModel(path))).toMatchObject({
      code: 'ARGUMENT',
      message: expect.stringContaining('is not named NAME-00001-of-00003.gguf'),
    });
  });

  test("leaves the caller's source open when the others fail", async () => {
    const mine = await openSource(a);
    let closed = false;
    const close = async () => {
      closed = true;
    };
    const watched = { size: mine.size, read: mine.read.bind(mine), close };
    expect(await failure(openModel([watched, b]))).toMatchObject({ code: 'ARGUMENT' });
    expect(closed).toBe(false);
  });
});

test('a folder opens as all its files', async () => {
  const place = folder();
  const path = place.file('models');
  mkdirSync(path);
  for (const [index, bytes] of shards.entries()) writeFileSync(`${path}/${shardName('m', index, 3)}`, bytes);
  writeFileSync(`${path}/notes.txt`, 'not a model');
  const model = await openModel(path);
  expect(model.tensors.length).toBe(3);
  expect(basename(model.source.name ?? '')).toBe('m-00001-of-00003.gguf');
  await model.close();
});

describe.runIf(hasGgml)('llama.cpp gives the same result for the same shards', () => {
  test.each(['Q4_K_M', 'Q6_K'] as const)('%s', async (preset) => {
    const { file } = folder();
    const ftype = { Q4_K_M: 15, Q6_K: 18 }[preset];
    await llamaQuantize({ input: written(whale), output: file('theirs'), ftype });
    expect(await quantized(written(whale), preset, 2)).toBe(sha256(file('theirs')));
  });
});

/** A shard whose tensor has the name of the previous one. */
function renamed(shard: Uint8Array): Uint8Array {
  const bytes = Buffer.from(shard);
  bytes.write('b', bytes.indexOf('c.weight'));
  return bytes;
}

/** A shard with another 32-bit value of a key. */
function patched(shard: Uint8Array, key: string, value: number): Uint8Array {
  const bytes = Buffer.from(shard);
  bytes.writeUInt32LE(value, bytes.indexOf(key) + key.length + 4);
  return bytes;
}
