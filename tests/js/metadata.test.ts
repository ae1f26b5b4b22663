/** Metadata of any size: everything can be read, and only accessed values become JavaScript values. */

import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { diffModels, init, openModel, type MetadataArray, type MetadataValue, type Model } from 'quantpress';
import { beforeAll, describe, expect, test } from 'vitest';
import { failure } from './support/failure.js';
import { folder } from './support/files.js';
import { quantpress } from './support/cli.js';
import { PEAK } from './support/peak.js';

beforeAll(() => init());

/** Numbers of GGUF's value types, and how many bytes each takes. */
const TYPES = {
  uint8: 0,
  int8: 1,
  uint16: 2,
  int16: 3,
  uint32: 4,
  int32: 5,
  float32: 6,
  bool: 7,
  string: 8,
  array: 9,
  uint64: 10,
  int64: 11,
  float64: 12,
};
type Type = keyof typeof TYPES;

const u32 = (value: number) => Buffer.from(Uint32Array.of(value).buffer);
const u64 = (value: number | bigint) => Buffer.from(BigUint64Array.of(BigInt(value)).buffer);
const text = (value: string) => Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)]);

const WRITE: Record<Exclude<Type, 'array'>, (value: never) => Buffer> = {
  uint8: (value: number) => Buffer.of(value),
  int8: (value: number) => Buffer.from(Int8Array.of(value).buffer),
  uint16: (value: number) => Buffer.from(Uint16Array.of(value).buffer),
  int16: (value: number) => Buffer.from(Int16Array.of(value).buffer),
  uint32: u32,
  int32: (value: number) => Buffer.from(Int32Array.of(value).buffer),
  float32: (value: number) => Buffer.from(Float32Array.of(value).buffer),
  bool: (value: boolean) => Buffer.of(Number(value)),
  string: text,
  uint64: u64,
  int64: (value: number | bigint) => Buffer.from(BigInt64Array.of(BigInt(value)).buffer),
  float64: (value: number) => Buffer.from(Float64Array.of(value).buffer),
};

const scalar = (type: Exclude<Type, 'array'>, value: unknown) =>
  Buffer.concat([u32(TYPES[type]), WRITE[type](value as never)]);
const items = (type: Exclude<Type, 'array'>, values: readonly unknown[]) =>
  Buffer.concat([u32(TYPES[type]), u64(values.length), ...values.map((value) => WRITE[type](value as never))]);
const array = (type: Exclude<Type, 'array'>, values: readonly unknown[]) =>
  Buffer.concat([u32(TYPES.array), items(type, values)]);

/** A model with only metadata. */
function model(pairs: Record<string, Buffer>): Uint8Array<ArrayBuffer> {
  const parts = Object.entries(pairs).flatMap(([key, value]) => [text(key), value]);
  const head = Buffer.concat([Buffer.from('GGUF'), u32(3), u64(0), u64(Object.keys(pairs).length), ...parts]);
  return new Uint8Array(Buffer.concat([head, Buffer.alloc(-head.length & 31)]));
}

/** 5000 values of each type: more than are loaded with the list. */
const MANY: Record<Exclude<Type, 'array'>, readonly (number | bigint | boolean | string)[]> = {
  uint8: numbers((i) => i % 256),
  int8: numbers((i) => (i % 256) - 128),
  uint16: numbers((i) => i * 13),
  int16: numbers((i) => i - 2500),
  uint32: numbers((i) => i * 800_000),
  int32: numbers((i) => (i - 2500) * 800_000),
  float32: numbers((i) => Math.fround(i / 7)),
  bool: Array.from({ length: 5000 }, (_, i) => i % 3 === 0),
  string: Array.from({ length: 5000 }, (_, i) => `token ${i} ${'é'.repeat(i % 7)}`),
  uint64: Array.from({ length: 5000 }, (_, i) => (i % 2 === 0 ? i : 2n ** 63n + BigInt(i))),
  int64: Array.from({ length: 5000 }, (_, i) => (i % 2 === 0 ? -i : -(2n ** 62n) - BigInt(i))),
  float64: numbers((i) => i / 7),
};

function numbers(of: (index: number) => number): number[] {
  return Array.from({ length: 5000 }, (_, index) => of(index));
}

const asArray = (value: MetadataValue | undefined): MetadataArray => {
  if (value?.type !== 'array') throw new Error('not an array');
  return value;
};

describe('an array', () => {
  test.each(Object.keys(MANY) as (keyof typeof MANY)[])('of 5000 %s is complete, whole and in parts', async (type) => {
    const opened = await openModel(
      model({ 'a.b': array(type, MANY[type]), 'a.few': array(type, MANY[type].slice(0, 3)) }),
    );
    // -0 is 0 in an integer.
    const values = MANY[type].map((value) => (value === 0 ? 0 : value));
    const long = asArray(opened.metadata.get('a.b'));
    expect([long.type, long.of, long.length, long.head.length]).toEqual(['array', type, 5000, 64]);
    expect(long.value).toEqual(values);
    expect([...long]).toEqual(values);
    // Backwards too: offsets of strings are found from the start.
    for (const [from, to] of [
      [4990, 5000],
      [100, 164],
      [101, 102],
      [4000, 9000],
      [7, 7],
      [9, 3],
    ] as const) {
      expect(long.slice(from, to)).toEqual(values.slice(from, to));
    }
    expect(opened.metadata.get('a.few')).toEqual({ type: 'array', of: type, value: values.slice(0, 3) });
    expect(() => long.slice(-1)).toThrow(expect.objectContaining({ code: 'RANGE' }));
    await opened.close();
  });

  test('of arrays can be read in parts', async () => {
    const inner = Buffer.concat([u32(TYPES.array), u64(2), items('uint8', [1, 2]), items('string', ['x'])]);
    const opened = await openModel(model({ 'a.b': Buffer.concat([u32(TYPES.array), inner]) }));
    const value = [
      { type: 'array', of: 'uint8', value: [1, 2] },
      { type: 'array', of: 'string', value: ['x'] },
    ];
    expect(opened.metadata.get('a.b')).toEqual({ type: 'array', of: 'array', value });
    await opened.close();
  });

  test('is copied and written as JSON with all its elements', async () => {
    const opened = await openModel(model({ 'a.b': array('string', MANY.string) }));
    const value = opened.metadata.get('a.b');
    const plain = { type: 'array', of: 'string', value: MANY.string };
    expect(structuredClone(value)).toEqual(plain);
    expect(JSON.parse(JSON.stringify(value))).toEqual(plain);
    await opened.close();
  });
});

test('large values are read from the open model, small ones outlive it', async () => {
  const long = 'x'.repeat(10_000);
  const opened = await openModel(
    model({ 'a.long': scalar('string', long), 'a.short': scalar('string', 'y'), 'a.n': array('uint8', MANY.uint8) }),
  );
  const [text, short, list] = ['a.long', 'a.short', 'a.n'].map((key) => opened.metadata.get(key));
  expect(text).toEqual({ type: 'string', value: long });
  await opened.close();
  expect(short).toEqual({ type: 'string', value: 'y' });
  for (const value of [text, list]) {
    expect((await failure(Promise.resolve().then(() => value?.value))).message).toContain('the model is closed');
  }
});

test('diff compares whole arrays', async () => {
  const [a, b] = [numbers((i) => i), numbers((i) => (i === 4999 ? 7 : i))];
  const open = (values: number[]): Promise<Model> =>
    openModel(model({ 'a.b': array('uint32', values), 'a.c': array('uint32', a) }));
  const found = await diffModels(await open(a), await open(b), { workers: 0 });
  expect([found.equal, found.metadata.map(({ key }) => key)]).toEqual([false, ['a.b']]);
  expect((await diffModels(await open(b), await open(b), { workers: 0 })).equal).toBe(true);
});

test('inspect prints every element with --json and --all, and the first ones by default', async () => {
  const { file } = folder();
  const tokens = Array.from({ length: 30_000 }, (_, i) => `t${i}`);
  writeFileSync(
    file('m.gguf'),
    model({ 'a.tokens': array('string', tokens), 'a.template': scalar('string', `begin ${'z'.repeat(9000)} end`) }),
  );
  const json = JSON.parse((await quantpress(['inspect', '--json', file('m.gguf')])).stdout);
  expect(json.metadata['a.tokens']).toEqual({ type: 'array', of: 'string', value: tokens });
  expect(json.metadata['a.template'].value).toHaveLength(9010);
  const { stdout: short } = await quantpress(['inspect', file('m.gguf')]);
  expect(short).toContain('["t0", "t1", "t2", "t3", ...] (30000)');
  expect(short.length).toBeLessThan(1000);
  const { stdout: all } = await quantpress(['inspect', '--all', file('m.gguf')]);
  expect(all).toContain('"t29999"');
  expect(all).toMatch(/z end$/m);
});

test('an unread string of 50 MB takes its size once', () => {
  const { file } = folder();
  writeFileSync(file('m.gguf'), model({ 'a.text': scalar('string', 'q'.repeat(50_000_000)) }));
  const entry = new URL('../../dist/node.js', import.meta.url).href;
  const script = `
    import { init, openModel } from ${JSON.stringify(entry)};
    await init();
    const model = await openModel(${JSON.stringify(file('m.gguf'))});
    gc();
    const { heapUsed } = process.memoryUsage();
    console.log(heapUsed, model.metadata.get('a.text').value.length, ${PEAK});`;
  const args = ['--expose-gc', '--input-type=module', '--eval', script];
  const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  expect(stderr).toBe('');
  const [heap = Infinity, length, peak = Infinity] = stdout.split(' ').map(Number);
  expect(length).toBe(50_000_000);
  expect(heap).toBeLessThan(40_000_000);
  expect(peak).toBeLessThan(400_000_000);
  expect(readFileSync(file('m.gguf')).length).toBeGreaterThan(50_000_000);
});
