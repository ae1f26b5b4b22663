/**
 * Every preset on Tiny Whale by the package, as tests/files.rs runs them by the crate's `quantize_file` with
 * `QUANTPRESS_ALL=1`: both compare with the recorded sha256 of llama.cpp's output. Interrupted and resumed, with a report.
 */

import { readFileSync, statSync } from 'node:fs';
import { init, openModel, type PresetName, quantizeModel, type QuantizeModelOptions } from 'quantpress';
import { expect, test } from 'vitest';
import { folder, sha256 } from '../js/support/files.js';
import { WHALE } from '../js/support/whale.js';

await init();

const record = readFileSync(new URL('../fixtures/tiny-whale/quantized.txt', import.meta.url), 'utf8');
const plain = record
  .trim()
  .split('\n')
  .map((line) => line.split(' ') as [string, string, string, PresetName])
  .filter(([, matrix]) => matrix === 'plain');

async function convert(out: string, preset: PresetName, options: QuantizeModelOptions) {
  const model = await openModel(WHALE);
  try {
    return await quantizeModel(model, out, preset, { ...options, workers: 2, hashes: true, report: true });
  } finally {
    await model.close();
  }
}

test.each(plain.map(([hash, , size, preset]) => ({ hash, size, preset })))(
  '$preset',
  async ({ hash, size, preset }) => {
    const { file, names } = folder();
    const stop = new AbortController();
    let tiles = 0;
    const onProgress = () => {
      tiles += 1;
      if (tiles === 10) stop.abort();
    };
    await expect(convert(file('out.gguf'), preset, { resume: true, signal: stop.signal, onProgress })).rejects.toThrow(
      /abort/i,
    );
    const report = await convert(file('out.gguf'), preset, { resume: true });
    expect(report.bytesResumed).toBeGreaterThan(0);
    expect([sha256(readFileSync(file('out.gguf'))), report.sha256]).toEqual([hash, hash]);
    expect(statSync(file('out.gguf')).size).toBe(Number(size));
    expect(names()).toEqual(['out.gguf']);
  },
);

test('the record has every preset that needs no importance matrix', () => {
  expect(plain.length).toBe(27);
});
