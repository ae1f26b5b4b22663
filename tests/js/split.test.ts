/**
 * Models written to several files: split like llama-gguf-split and llama-quantize --keep-split, without partial files.
 */

import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import {
  init,
  MemoryTarget,
  manifestOf,
  manifestText,
  openModel,
  planModel,
  quantizeModel,
  type Recipe,
} from 'quantpress';
import { beforeAll, describe, expect, test } from 'vitest';
import { failure } from './support/failure.js';
import { folder, sha256 } from './support/files.js';
import { ggufSplit, shardName } from './support/gguf-split.js';
import { hasGgml } from './support/ggml.js';
import { llamaQuantize } from './support/llama.js';
import { WHALE, WHALE_SHA256 } from './support/whale.js';

beforeAll(() => init());

const whale = readFileSync(WHALE);

/** Writes shards as files and returns the path of the first. */
function written(parts: readonly Uint8Array[], place = folder()): string {
  for (const [index, bytes] of parts.entries()) writeFileSync(place.file(shardName('in', index, parts.length)), bytes);
  return place.file(shardName('in', 0, parts.length));
}

const contents = (place: { path: string; file(name: string): string }, stem: string) =>
  readdirSync(place.path)
    .filter((name) => name.startsWith(stem))
    .sort()
    .map((name) => [name.slice(stem.length), sha256(place.file(name))]);

async function convert(input: string, output: string, recipe: Recipe, workers = 2) {
  const model = await openModel(input);
  try {
    return await quantizeModel(model, output, recipe, { workers, hashes: true });
  } finally {
    await model.close();
  }
}

describe('splitMaxSize', () => {
  test.each([
    ['100MB', 1e8],
    ['1MB', 1e6],
    [600_000, 6e5],
    ['0.3 M', 3e5],
    // The first tensor is larger, and llama-gguf-split fails on an empty first file.
    ['1K', undefined],
  ])('of %s writes the shards that llama-gguf-split writes', async (splitMaxSize, maxSize) => {
    const place = folder();
    await convert(WHALE, place.file('whole.gguf'), { preset: 'Q4_K_M' });
    const report = await convert(WHALE, place.file('ours.gguf'), { preset: 'Q4_K_M', splitMaxSize });
    const ours = contents(place, 'ours');
    if (maxSize === undefined) {
      expect(ours.length).toBe(report.tensors.length);
    } else {
      const theirs = ggufSplit(readFileSync(place.file('whole.gguf')), { maxSize });
      expect(ours).toEqual(theirs.map((bytes, index) => [shardName('', index, theirs.length), sha256(bytes)]));
    }
    expect(report.shards?.map((shard) => [shard.suffix, shard.sha256])).toEqual(ours);
    expect(readdirSync(place.path).filter((name) => name.startsWith('.'))).toEqual([]);
    // They open as one model.
    await convert(place.file(`ours${ours[0]?.[0]}`), place.file('again.gguf'), { preset: 'COPY' });
    expect(sha256(place.file('again.gguf'))).toBe(WHALE_SHA256.Q4_K_M);
  });

  test.each([0, -1, Number.NaN, '', '5X', 'MB', '1e3', {}])('of %s is rejected', async (splitMaxSize) => {
    const model = await openModel(WHALE);
    const recipe = { preset: 'Q4_0', splitMaxSize } as Recipe;
    expect(['ARGUMENT', 'RANGE']).toContain((await failure(planModel(model, recipe))).code);
    const both = planModel(model, { preset: 'Q4_0', splitMaxSize: '1G', keepSplit: true });
    expect(await failure(both)).toMatchObject({ code: 'ARGUMENT', message: expect.stringContaining('together') });
    await model.close();
  });

  test('writes to targets from a function, in memory, in order or not', async () => {
    const model = await openModel(WHALE);
    const targets: MemoryTarget[] = [];
    const seen: unknown[] = [];
    await quantizeModel(
      model,
      ({ index, count, suffix, size }) => {
        seen.push([index, count, suffix, size]);
        const target = new MemoryTarget();
        targets.push(target);
        return index === 1 ? Object.assign(target, { ordered: true }) : target;
      },
      { preset: 'Q4_K_M', splitMaxSize: '1MB' },
      { workers: 2 },
    );
    const bytes = targets.map((target) => target.bytes as Uint8Array<ArrayBuffer>);
    expect(seen).toEqual(bytes.map(({ length }, index) => [index, 3, shardName('', index, 3), length]));
    const again = new MemoryTarget();
    const joined = await openModel(bytes.toReversed());
    await quantizeModel(joined, again, 'COPY', { workers: 0 });
    expect(sha256(again.bytes as Uint8Array)).toBe(WHALE_SHA256.Q4_K_M);
    expect(
      await failure(quantizeModel(model, new MemoryTarget(), { preset: 'Q4_0', splitMaxSize: '1MB' })),
    ).toMatchObject({
      code: 'ARGUMENT',
      details: { shards: 3 },
    });
    await joined.close();
    await model.close();
  });

  test('leaves nothing if the run fails or is aborted', async () => {
    const { path, file } = folder();
    const model = await openModel(WHALE);
    const stop = new AbortController();
    const recipe: Recipe = { preset: 'Q4_K_M', splitMaxSize: '1MB' };
    const onProgress = () => stop.abort(new Error('enough'));
    await expect(
      quantizeModel(model, file('o'), recipe, { signal: stop.signal, onProgress, workers: 1 }),
    ).rejects.toThrow('enough');
    expect(readdirSync(path)).toEqual([]);
    await model.close();
  });

  test('resumes an interrupted run to the same bytes', async () => {
    const place = folder();
    const recipe: Recipe = { preset: 'Q4_K_M', splitMaxSize: '1MB' };
    await convert(WHALE, place.file('want'), recipe);
    for (const tiles of [3, 20, 37]) {
      const model = await openModel(WHALE);
      const stop = new AbortController();
      let left = tiles;
      const onProgress = () => {
        left -= 1;
        if (left === 0) stop.abort(new Error('enough'));
      };
      const run = quantizeModel(model, place.file('got'), recipe, {
        resume: true,
        signal: stop.signal,
        onProgress,
        workers: 1,
      });
      await expect(run).rejects.toThrow('enough');
      expect(contents(place, 'got')).toEqual([]);
      const report = await quantizeModel(model, place.file('got'), recipe, { resume: true, workers: 1 });
      expect(report.bytesResumed).toBeGreaterThan(0);
      expect(contents(place, 'got')).toEqual(contents(place, 'want'));
      expect(readdirSync(place.path).filter((name) => name.startsWith('.'))).toEqual([]);
      await model.close();
      spawnSync('sh', ['-c', `rm ${place.file('got')}*`]);
    }
  });
});

test("hashes of shards equal sha256sum's", async () => {
  const place = folder();
  const report = await convert(WHALE, place.file('m.gguf'), { preset: 'Q8_0', splitMaxSize: '2MB' });
  const manifest = manifestOf(report, 'm.gguf');
  writeFileSync(place.file('sums'), manifestText(manifest, 'm.sha256'));
  const { status, stdout } = spawnSync('sha256sum', ['-c', 'sums'], { cwd: place.path, encoding: 'utf8' });
  expect([status, stdout.trim().split('\n').length]).toEqual([0, report.shards?.length]);
  expect(manifest.size).toBe(manifest.files?.reduce((sum, { file }) => sum + statSync(place.file(file)).size, 0));
});

test('verify reads all shards and finds the damaged one', () => {
  const place = folder();
  const run = (...args: string[]) =>
    spawnSync(process.execPath, ['dist/cli/main.js', ...args, '--quiet'], { encoding: 'utf8' });
  const [manifest, first] = [place.file('m.json'), place.file('m-00001-of-00003.gguf')];
  const made = run('quantize', '--split-max-size', '1MB', '--manifest', manifest, WHALE, place.file('m.gguf'), 'Q4_0');
  expect([made.status, made.stderr]).toEqual([0, '']);
  expect(run('verify', '--manifest', manifest, first).status).toBe(0);
  const second = readFileSync(place.file('m-00002-of-00003.gguf'));
  second[300_000] = (second[300_000] ?? 0) ^ 1;
  writeFileSync(place.file('m-00002-of-00003.gguf'), second);
  const found = run('verify', '--manifest', manifest, first);
  expect([found.status, found.stdout]).toEqual([
    1,
    expect.stringMatching(/^tensor 'blk\.1\.ffn_up\.weight': its sha256/),
  ]);
});

test('keepSplit of a whole file writes one file without split metadata', async () => {
  const place = folder();
  await convert(WHALE, place.file('o.gguf'), { preset: 'COPY', keepSplit: true });
  expect(readdirSync(place.path)).toEqual(['o-00001-of-00001.gguf']);
  const model = await openModel(place.file('o-00001-of-00001.gguf'));
  expect(model.metadata.has('split.count')).toBe(false);
  await model.close();
});

test('keepSplit rejects a shard without tensors', async () => {
  const model = await openModel(ggufSplit(whale, { maxTensors: 4 }));
  const plan = planModel(model, { preset: 'Q4_0', keepSplit: true, pruneLayers: [0, 1, 2] });
  expect(await failure(plan)).toMatchObject({ code: 'ARGUMENT', message: expect.stringContaining('without tensors') });
  await model.close();
});

describe.runIf(hasGgml)('llama.cpp', () => {
  test.each([
    ['three shards', ggufSplit(whale, { maxTensors: 15 })],
    ['shards by size', ggufSplit(whale, { maxSize: 900_000 })],
    ['a first shard without tensors', ggufSplit(whale, { maxTensors: 20 }, true)],
    ['one file', [whale]],
  ])('keeps %s as we do', async (_, parts) => {
    for (const [preset, ftype] of [
      ['Q4_K_M', 15],
      ['Q6_K', 18],
    ] as const) {
      const place = folder();
      const input = written(parts, folder());
      await llamaQuantize({ input, output: place.file('theirs'), ftype, keepSplit: true });
      await convert(input, place.file('ours.gguf'), { preset, keepSplit: true });
      expect(contents(place, 'ours')).toEqual(contents(place, 'theirs'));
      expect(contents(place, 'ours').length).toBe(parts.length);
    }
  });

  test('reads the shards we write', async () => {
    const place = folder();
    await convert(WHALE, place.file('ours'), { preset: 'Q4_K_M', splitMaxSize: '1MB' });
    await llamaQuantize({
      input: place.file('ours-00001-of-00003.gguf'),
      output: place.file('copy'),
      ftype: 15,
      onlyCopy: true,
    });
    expect(sha256(place.file('copy'))).toBe(WHALE_SHA256.Q4_K_M);
  });
});
