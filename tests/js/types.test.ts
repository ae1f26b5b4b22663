/** What the types promise: unions are the engine's tables, values narrow, and results have what their target holds. */

import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import * as quantpress from 'quantpress';
import { beforeAll, describe, expect, test } from 'vitest';
import { safetensorsFile } from './support/safetensors.js';
import { thrownBy } from './support/thrown-by.js';

const FOLDER = resolve('.cache/types');

beforeAll(async () => {
  await quantpress.init();
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(join(FOLDER, 'node_modules'), { recursive: true });
  symlinkSync(resolve('.'), join(FOLDER, 'node_modules/quantpress'));
  writeFileSync(join(FOLDER, 'package.json'), '{ "type": "module" }');
});

/** What the compiler says of a module, as a strict project of each kind. */
function complaints(name: string, code: string): string {
  writeFileSync(join(FOLDER, `${name}.ts`), `import * as quantpress from 'quantpress';\n${code}\nexport {};\n`);
  return ['nodenext', 'bundler']
    .map((resolution) => {
      const args = [
        '--ignoreConfig',
        '--strict',
        '--exactOptionalPropertyTypes',
        '--noUncheckedIndexedAccess',
        '--noEmit',
      ];
      const module = ['--module', resolution === 'bundler' ? 'esnext' : 'nodenext', '--moduleResolution', resolution];
      const command = [resolve('node_modules/typescript/bin/tsc'), ...args, ...module, '--target', 'es2022'];
      return spawnSync(process.execPath, [...command, join(FOLDER, `${name}.ts`)], { encoding: 'utf8' }).stdout;
    })
    .join('');
}

const EQUAL = 'type Equal<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false;';

/** Lines that compile only if a union of the package has exactly these names. */
const isUnion = (type: string, names: readonly (string | number)[]) => {
  const union = names.map((name) => JSON.stringify(name)).join(' | ');
  const id = type.replace(/\W/g, '_');
  return `export const is${id}: Equal<quantpress.${type}, ${union}> = true;`;
};

const DTYPES = [
  'BOOL',
  'U8',
  'I8',
  'F8_E5M2',
  'F8_E4M3',
  'I16',
  'U16',
  'F16',
  'BF16',
  'I32',
  'U32',
  'F32',
  'F64',
  'I64',
  'U64',
];

const SIZES: Readonly<Record<string, number>> = { 8: 1, 16: 2, 32: 4, 64: 8 };

describe('unions of names', () => {
  test('are the tables of the engine', () => {
    const formats = quantpress.formats().map(({ name }) => name);
    // A safetensors dtype that is not a format has its own type.
    const foreign = DTYPES.filter((name) => !(formats as string[]).includes(name));
    const blockSizes = Array.from({ length: 14 }, (_, power) => 2 ** power).filter((blockSize) => {
      try {
        quantpress.quantize4bit(new Float32Array(1), { blockSize: blockSize as quantpress.BlockSize4Bit });
        return true;
      } catch {
        return false;
      }
    });
    const lines = [
      EQUAL,
      isUnion('FormatName', formats),
      isUnion(
        'PresetName',
        quantpress.presets().map(({ name }) => name),
      ),
      isUnion('SourceType', [...formats, ...foreign]),
      isUnion('SafetensorsDtype', DTYPES),
      isUnion('BlockSize4Bit', blockSizes),
      isUnion('MetadataType', valueTypes()),
      isUnion("CalibrationMethod['kind']", [...new Set(quantpress.calibrationMethods().map(({ kind }) => kind))]),
    ];
    expect(complaints('unions', lines.join('\n'))).toBe('');
    // The check can fail.
    expect(complaints('not-unions', [EQUAL, isUnion('FormatName', formats.slice(1))].join('\n'))).toContain('TS2322');
  });

  test.each(DTYPES)('%s is read from safetensors', async (dtype) => {
    const size = SIZES[/^[A-Z]+(\d+)/.exec(dtype)?.[1] ?? '8'] ?? 1;
    const file = safetensorsFile({ w: { dtype, shape: [3], data: new Uint8Array(3 * size) } });
    const model = await quantpress.openModel(new Uint8Array(file));
    expect(model.tensors[0]?.type).toBe(dtype);
    await model.close();
  });

  test('have no dtype more', async () => {
    for (const dtype of ['F4', 'F8_E8M0', 'C64', 'f32', 'I128']) {
      const file = safetensorsFile({ w: { dtype, shape: [1], data: new Uint8Array(8) } });
      expect(await thrownBy(() => quantpress.openModel(new Uint8Array(file)))).toMatchObject({ code: 'UNSUPPORTED' });
    }
  });
});

/** The names of GGUF's value types in the engine's table. */
function valueTypes(): string[] {
  const table = readFileSync('src/container/gguf/value.rs', 'utf8');
  const rows = [...table.matchAll(/^ {4}[A-Z]\w+ +\d+ "(\w+)" +(?:Some|None)/gm)];
  expect(rows.length).toBe(13);
  return rows.map(([, name = '']) => name);
}

test('metadata narrows by its type', () => {
  const code = `
    declare const metadata: quantpress.Model['metadata'];
    const value = metadata.get('key');
    if (value?.type === 'string') value.value.trim();
    if (value?.type === 'uint32') value.value.toFixed(1);
    if (value?.type === 'bool') export_(value.value satisfies boolean);
    if (value?.type === 'uint64') export_(value.value satisfies number | bigint);
    if (value?.type === 'array') {
      export_(value.length satisfies number);
      if (value.of === 'string') for (const text of value) text.trim();
      if (value.of === 'float32') value.slice(0, 2).map((x) => x.toFixed(1));
      if (value.of === 'array') for (const inner of value.value) if (inner.of === 'string') inner.value[0]?.trim();
    }
    // @ts-expect-error: a value of unknown type is no string.
    value?.value.trim();
    // @ts-expect-error: the names are the specification's.
    export_(value?.type === 'u32');
    declare function export_(value: unknown): void;`;
  expect(complaints('metadata', code)).toBe('');
});

test('quantizeModel returns what its target holds', () => {
  const code = `
    declare const model: quantpress.Model;
    const memory = await quantpress.quantizeModel(model, new quantpress.MemoryTarget(), 'Q8_0');
    export const bytes: Uint8Array<ArrayBuffer> = memory.bytes;
    const browser = await quantpress.quantizeModel(model, new quantpress.BlobTarget(), 'Q8_0');
    export const blob: Blob = browser.blob;
    const path = await quantpress.quantizeModel(model, 'model.gguf', 'Q8_0');
    export const report: quantpress.Report = path;
    // @ts-expect-error: a file has no bytes in memory.
    path.bytes;
    // @ts-expect-error: a Blob is no array.
    browser.bytes;
    const several = await quantpress.quantizeModel(model, ({ index }) => {
      index.toFixed();
      return new quantpress.MemoryTarget();
    }, { preset: 'Q8_0', splitMaxSize: '2G' });
    for (const shard of several.shards ?? []) shard.bytes.subarray(0, 4);
    export const one: Uint8Array<ArrayBuffer> | undefined = several.bytes;
    declare const any: quantpress.TargetInput | quantpress.TargetSet;
    const unknown = await quantpress.quantizeModel(model, any, 'Q8_0');
    export const stillReport: quantpress.Report = unknown;
    quantpress.manifestOf(memory, 'model.gguf');
    // @ts-expect-error: there is no such preset.
    await quantpress.quantizeModel(model, 'model.gguf', 'Q4_K_XL');`;
  expect(complaints('results', code)).toBe('');
});

test('options and schemes have names that are checked, and defaults', () => {
  const code = `
    const values = new Float32Array(64);
    quantpress.roundTrip(values, [64], { kind: 'affine', bits: 4 });
    quantpress.roundTrip(values, [64], { kind: 'fourBit' });
    // @ts-expect-error: a block size is one of eight.
    quantpress.roundTrip(values, [64], { kind: 'fourBit', blockSize: 100 });
    // @ts-expect-error: a mode has a name.
    quantpress.fakeQuantize(values, 4, true);
    // @ts-expect-error: a format has a name.
    quantpress.quantize(values, 'Q4_KM');
    const result = quantpress.runBenchmark('x', values, [64], { kind: 'affine', bits: 4 });
    if (result.scheme.kind === 'affine') export_(result.scheme.mode satisfies 'symmetric' | 'asymmetric');
    const recipe: quantpress.Recipe = { preset: 'Q4_K_M', pure: undefined, tensorTypes: undefined };
    export_(recipe);
    declare function export_(value: unknown): void;`;
  expect(complaints('options', code)).toBe('');
});
