/** Every preset of a real model: SmolLM2-135M by both, with and without importance. A quarter of an hour. */

import { init, presets } from 'quantpress';
import { beforeAll, expect, test } from 'vitest';
import { folder } from '../js/support/files.js';
import { byBoth, smolInF16, weighingOf } from '../js/support/whole-file.js';

let whole: string;

beforeAll(async () => {
  whole = await smolInF16();
});

await init();
/** Q4_K is another name of Q4_K_M, and MXFP4 of MXFP4_MOE. */
const ALIASES = ['Q3_K', 'Q4_K', 'Q5_K', 'MXFP4'];
const names = presets().flatMap(({ name }) => (ALIASES.includes(name) ? [] : [name]));

test.each(names)('%s', async (preset) => {
  const { ours, theirs } = await byBoth(whole, preset);
  expect(ours).toBe(theirs);
});

test.each(names)('%s with an importance matrix', async (preset) => {
  const weighing = await weighingOf(whole, folder().file('matrix.dat'));
  const { ours, theirs } = await byBoth(whole, preset, weighing);
  expect(ours).toBe(theirs);
});
