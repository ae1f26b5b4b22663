/** safetensors models in several files: with an index or without, in any order, in a folder, with their other files. */

import { mkdirSync, writeFileSync } from 'node:fs';
import { init, MemoryTarget, openModel, quantizeModel } from 'quantpress';
import { beforeAll, describe, expect, it } from 'vitest';
import { failure } from './support/failure.js';
import { folder } from './support/files.js';
import { safetensorsFile as safetensors } from './support/safetensors.js';

beforeAll(() => init());

describe('a model in several files', () => {
  const part = (name: string, shape: number[], from: number) => {
    const data = new Uint8Array(Float32Array.from({ length: 64 }, (_, i) => Math.sin(i + from)).buffer);
    return safetensors({ [name]: { dtype: 'F32', shape, data } });
  };
  const one = (name: string) => ({ [name]: { dtype: 'F32', shape: [2], data: new Uint8Array(8) } });
  const names = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'] as const;
  const [first, second] = [part('z.weight', [2, 32], 0), part('a.weight', [2, 32], 500)];
  const map = { 'z.weight': names[0], 'a.weight': names[1] };
  const text = (content: unknown) => new TextEncoder().encode(JSON.stringify(content));
  const index = (weight_map: Record<string, string>) => text({ metadata: { total_size: 512 }, weight_map });
  const file = (name: string, bytes: Uint8Array, relative = '') => {
    const made = new File([new Uint8Array(bytes)], name);
    if (relative) Object.defineProperty(made, 'webkitRelativePath', { value: `${relative}/${name}` });
    return made;
  };

  /** Writes all files to a folder and returns its path. */
  function onDisk(map_: Record<string, string> = map): string {
    const path = folder().file('hf');
    mkdirSync(`${path}/1_Pooling`, { recursive: true });
    const files = { 'model.safetensors.index.json': index(map_), [names[0]]: first, [names[1]]: second };
    for (const [name, bytes] of Object.entries(files)) writeFileSync(`${path}/${name}`, bytes);
    writeFileSync(`${path}/config.json`, '{"model_type":"nothing"}');
    writeFileSync(`${path}/1_Pooling/config.json`, '{}');
    writeFileSync(`${path}/pytorch_model.bin`, 'not read');
    return path;
  }

  const files = [
    file(names[1], second),
    file('config.json', text({})),
    file('.gitattributes', text('')),
    file(names[0], first),
  ];

  it.each([
    ['a folder on disk', () => onDisk()],
    ['the path of an index', () => `${onDisk()}/model.safetensors.index.json`],
    ['files, in any order', () => files],
    ['files with an index', () => [...files, file('model.safetensors.index.json', index(map))]],
    [
      'a folder that was picked',
      () => [file(names[1], second, 'hf'), file('config.json', text({}), 'hf'), file(names[0], first, 'hf')],
    ],
  ])('is opened from %s', async (_, input) => {
    const model = await openModel(input());
    expect(model.tensors.map(({ name }) => name).sort()).toEqual(['a.weight', 'z.weight']);
    expect((await model.readTensor('a.weight'))[1]).toBe(Math.fround(Math.sin(501)));
    expect((await model.readTensor('z.weight', { rows: [1, 2] }))[0]).toBe(Math.fround(Math.sin(32)));
    expect([...model.files.keys()]).toContain('config.json');
    const target = new MemoryTarget();
    await quantizeModel(model, target, { preset: 'Q8_0', plain: true }, { workers: 2 });
    const made = await openModel(target.bytes as Uint8Array);
    expect(made.tensors.map(({ name, type }) => [name, type])).toEqual([
      ['a.weight', 'Q8_0'],
      ['z.weight', 'Q8_0'],
    ]);
    await made.close();
    await model.close();
  });

  it('takes a tensor that two shards contain from the last, at the position of the first', async () => {
    const later = part('z.weight', [2, 32], 900);
    const model = await openModel([file(names[1], later), file(names[0], first)]);
    expect(model.tensors.map(({ name }) => name)).toEqual(['z.weight']);
    expect((await model.readTensor('z.weight'))[1]).toBe(Math.fround(Math.sin(901)));
    await model.close();
  });

  it('has access to the other files of its folder', async () => {
    const model = await openModel(onDisk());
    expect([...model.files.keys()].sort()).toEqual(['1_Pooling/config.json', 'config.json']);
    expect(new TextDecoder().decode(model.files.get('config.json'))).toBe('{"model_type":"nothing"}');
    await model.close();
  });

  it.each([
    [
      'a missing file',
      () => [file(names[0], first), file('m.safetensors.index.json', index(map))],
      'NOT_FOUND',
      names[1],
    ],
    ['a missing tensor', () => onDisk({ ...map, 'b.weight': names[0] }), 'MALFORMED', "'b.weight' in 'model-00001"],
    [
      'a file outside the folder',
      () => onDisk({ 'z.weight': '../x.safetensors' }),
      'MALFORMED',
      'only plain names of files in the same folder',
    ],
    [
      'a tensor that the index does not list',
      () => [
        file(names[0], safetensors({ ...one('z.weight'), ...one('y.weight') })),
        file(names[1], second),
        file('model.safetensors.index.json', index(map)),
      ],
      'MALFORMED',
      "tensor 'y.weight', which the index does not list",
    ],
    [
      'a tensor in two files',
      () => [file('a.safetensors', first), file('b.safetensors', first)],
      'MALFORMED',
      'two files',
    ],
    [
      'a damaged file',
      () => [file('a.safetensors', first.slice(0, -1)), file('b.safetensors', second)],
      'TRUNCATED',
      "'a.safetensors': ",
    ],
    [
      'a GGUF file among them',
      () => [file('a.safetensors', first), new Uint8Array([71, 71, 85, 70, 3, ...new Array(19).fill(0)])],
      'ARGUMENT',
      'two models',
    ],
    ['no tensors', () => [file('config.json', text({}))], 'NOT_FOUND', 'no GGUF or safetensors file'],
  ])('is rejected with %s', async (_, input, code, says) => {
    expect(await failure(openModel(input()))).toMatchObject({ code, message: expect.stringContaining(says) });
  });
});
