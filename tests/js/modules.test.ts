/** The modules that are loaded on first use: once, where `init` was told, with errors that name them, and again after a failure. */

import { readFileSync } from 'node:fs';
import { AccuracyBenchmark, evaluateModel, init, isReady, openModel, planModel, type WasmInput } from 'quantpress/slim';
import { describe, expect, test } from 'vitest';
import { failure } from './support/failure.js';
import { floats, gguf, LLAMA, wave } from './support/gguf.js';
import { limited } from './support/limited.js';
import { safetensorsFile } from './support/safetensors.js';

const read = (name: string) => new Uint8Array(readFileSync(new URL(`../../dist/${name}`, import.meta.url)));
/** A model of one tensor. */
const small = () => safetensorsFile({ 'a.weight': { dtype: 'F32', shape: [2, 32], data: new Uint8Array(256) } });

/** The size of a plain Q8_0 container of a model. */
async function plannedSize(file: Uint8Array): Promise<number> {
  const model = await openModel(file);
  try {
    const plan = await planModel(model, { preset: 'Q8_0', plain: true });
    try {
      return plan.size;
    } finally {
      plan.free();
    }
  } finally {
    await model.close();
  }
}

// In this order: each test leaves the modules as the next one needs them.
describe('a module that is loaded on first use', () => {
  let loads = 0;
  let convert: () => Promise<WasmInput> = async () => read('quantpress-convert.wasm');

  test('is NOT_READY before init(), as everything is', async () => {
    expect(isReady()).toBe(false);
    expect(await failure(openModel(small()))).toMatchObject({ code: 'NOT_READY' });
    expect(await failure(AccuracyBenchmark.train())).toMatchObject({ code: 'NOT_READY' });
  });

  test('is named by the error if init() was not told where it is', async () => {
    await init({ wasm: read('quantpress.wasm') });
    const file = gguf(LLAMA, [floats('blk.0.ffn_up.weight', [256, 4], wave)]);
    expect(await failure(openModel(file))).toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('pass quantpress-model.wasm as init({ modules: { model } })'),
      details: { module: 'model' },
    });
    await init({ wasm: read('quantpress.wasm'), modules: { model: read('quantpress-model.wasm') } });
    const model = await openModel(file);
    expect((await planModel(model, 'Q8_0')).size).toBeGreaterThan(1000);
    expect(await failure(evaluateModel(model, 'text'))).toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('pass quantpress-inference.wasm as init({ modules: { inference } })'),
      details: { module: 'inference' },
    });
    await model.close();
    expect(await failure(openModel(small()))).toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('pass quantpress-convert.wasm as init({ modules: { convert } })'),
      details: { module: 'convert' },
    });
    expect(await failure(AccuracyBenchmark.train())).toMatchObject({
      code: 'NOT_FOUND',
      details: { module: 'bench' },
    });
  });

  test('is not a name that nobody knows', async () => {
    const modules = { converter: read('quantpress-convert.wasm') } as never;
    expect(await failure(init({ wasm: read('quantpress.wasm'), modules }))).toMatchObject({
      code: 'ARGUMENT',
      details: { option: 'converter', nearest: 'convert' },
    });
  });

  test('is tried again after it could not be loaded, and its error says which it was', async () => {
    const place = async () => {
      loads += 1;
      return convert();
    };
    // Rejected long before it is needed: that is nobody's unhandled rejection.
    const bench = Promise.reject(new Error('no bench'));
    await init({ wasm: read('quantpress.wasm'), modules: { convert: place, bench } });
    convert = async () => new TextEncoder().encode('<!doctype html>');
    expect(await failure(openModel(small()))).toMatchObject({
      code: 'MAGIC',
      message: expect.stringMatching(
        /^the module 'convert' \(quantpress-convert\.wasm\) was not loaded: .*an HTML page/,
      ),
      details: { module: 'convert' },
    });
    convert = async () => new Response(null, { status: 404 });
    expect(await failure(openModel(small()))).toMatchObject({ code: 'NOT_FOUND', details: { module: 'convert' } });
    expect(loads).toBe(2);
    expect(await failure(AccuracyBenchmark.train())).toMatchObject({
      code: 'IO',
      message: "the module 'bench' (quantpress-bench.wasm) was not loaded: no bench",
    });
  });

  test('is loaded once by uses at the same time', async () => {
    loads = 0;
    convert = async () => limited(read('quantpress-convert.wasm'), 64);
    const sizes = await Promise.all([plannedSize(small()), plannedSize(small()), plannedSize(small())]);
    expect(new Set(sizes).size).toBe(1);
    expect(loads).toBe(1);
  });

  test('is replaced when its memory runs out, and what was open in it is STALE', async () => {
    const open = await openModel(small());
    const size = await plannedSize(small());
    const tensors = Array.from({ length: 60_000 }, (_, index) => [
      `layers.${index}.${'x'.repeat(64)}`,
      { dtype: 'F32', shape: [1], data: new Uint8Array(4) },
    ]);
    expect(await failure(openModel(safetensorsFile(Object.fromEntries(tensors))))).toMatchObject({ code: 'NO_MEMORY' });
    expect(await failure(planModel(open, { preset: 'Q8_0', plain: true }))).toMatchObject({ code: 'STALE' });
    await open.close();
    expect(await plannedSize(small())).toBe(size);
    expect(loads).toBe(1);
  });
});
