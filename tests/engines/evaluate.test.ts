/** Models that are run in a page, in each engine: the bits of native code. */

import { readFileSync } from 'node:fs';
import { compareModels, importanceOf, init, MemoryTarget, openModel, quantizeModel } from 'quantpress';
import { beforeAll, expect, test } from 'vitest';
import { WHALE, WHALE_CALIBRATION, WHALE_TEXT } from '../js/support/whale.js';

const results = JSON.parse(readFileSync('tests/golden/inference/results.json', 'utf8') as string);
const textOf = (path: string) => (readFileSync(path, 'utf8') as string).replace(/\n$/, '');

beforeAll(() => init());

test('an importance matrix and a divergence have the bits of native code', async () => {
  const model = await openModel(new Blob([readFileSync(WHALE) as Uint8Array<ArrayBuffer>]));
  const { bytes } = await importanceOf(model, textOf(WHALE_CALIBRATION), { dataset: 'calib.txt', chunks: 4 });
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  expect([...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('')).toBe(results.imatrix);
  const target = new MemoryTarget();
  await quantizeModel(model, target, 'Q4_0');
  const quantized = await openModel(target.bytes);
  const found = await compareModels(model, quantized, textOf(WHALE_TEXT), { chunks: 4 });
  expect(found).toEqual({ ...results.divergence, chunks: 4, chunkSize: 256 });
  await quantized.close();
  await model.close();
});
