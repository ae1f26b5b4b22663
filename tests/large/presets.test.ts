/** Every preset of a real model: SmolLM2-135M in both programs, with and without importance. Takes 15 minutes. */

import { init, presets } from 'quantpress';
import { beforeAll, expect, test } from 'vitest';
import { folder } from '../js/support/files.js';
import { byBoth, smolInF16, weighingOf } from '../js/support/whole-file.js';

let whole: string;

beforeAll(async () => {
  whole = await smolInF16();
});

await init();
/** Q4_K is another name of Q4_K_M, and MXFP4 of MXFP4_MOE; the library has the number of NVFP4 but writes no file. */
const ELSEWHERE = ['Q3_K', 'Q4_K', 'Q5_K', 'MXFP4', 'NVFP4'];
const names = presets().flatMap(({ name }) => (ELSEWHERE.includes(name) ? [] : [name]));

/** Rows of 576 are not whole blocks of 128, and there is no fallback. */
const NEVER = ['Q1_0'];
const NEEDS_IMPORTANCE = ['IQ2_XXS', 'IQ2_XS', 'IQ2_S', 'IQ2_M', 'IQ1_S', 'IQ1_M', 'Q2_K_S'];

test.each(names)('%s', async (preset) => {
  const { ours, theirs } = await byBoth(whole, preset);
  expect(ours).toBe(theirs);
  expect(theirs === 'refused').toBe([...NEVER, ...NEEDS_IMPORTANCE].includes(preset));
});

test.each(names)('%s with an importance matrix', async (preset) => {
  const weighing = await weighingOf(whole, folder().file('matrix.dat'));
  const { ours, theirs } = await byBoth(whole, preset, weighing);
  expect(ours).toBe(theirs);
  expect(theirs === 'refused').toBe(NEVER.includes(preset));
});
