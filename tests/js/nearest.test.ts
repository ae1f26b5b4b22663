/** Suggestions for unknown names: the most probable name comes first, and distant names are not suggested. */

import { init, presets } from 'quantpress';
import { beforeAll, expect, test } from 'vitest';
import { nearest } from '../../dist/engine/nearest.js';
import { quantpress } from './support/cli.js';

let names: string[];

beforeAll(async () => {
  await init();
  names = presets().map(({ name }) => name);
});

test.each([
  ['Q4KM', ['Q4_K_M']],
  ['q4-k-m', ['Q4_K_M']],
  ['Q4_KM', ['Q4_K_M']],
  ['IQ4XS', ['IQ4_XS']],
  ['4KM', ['Q4_K_M']],
  ['BF61', ['BF16']],
  ['Q8', ['Q8_0']],
  ['out.gguf', []],
  ['', []],
])('%j suggests %j', (typed, expected) => {
  expect(nearest(typed, names)).toEqual(expected);
});

test('every preset is the only suggestion for its name without separators, in small letters', () => {
  for (const name of names) {
    const plain = name.replaceAll('_', '').toLowerCase();
    const same = names.filter((other) => other.replaceAll('_', '').toLowerCase() === plain);
    expect(nearest(plain, names)).toEqual(same.slice(0, 3));
  }
});

test('a name with one letter missing, doubled, wrong or swapped is suggested', () => {
  for (const name of names.filter(({ length }) => length > 3)) {
    for (let at = 0; at < name.length - 1; at++) {
      const [before, after] = [name.slice(0, at), name.slice(at + 1)];
      const spoilt = [
        before + after,
        `${before}${name[at]}${name[at]}${after}`,
        `${before}7${after}`,
        `${before}${name[at + 1]}${name[at]}${name.slice(at + 2)}`,
      ];
      for (const typed of spoilt) {
        // Another name may be nearer after the change.
        const found = nearest(typed, names, { most: names.length });
        const exact = names.some((other) => other.replaceAll('_', '') === typed.replaceAll('_', ''));
        if (!exact) expect(found, `${typed} for ${name}`).toContain(name);
      }
    }
  }
});

test('option names are compared without case and hyphens', () => {
  expect(nearest('rowlength', ['rowLength', 'onProgress'])).toEqual(['rowLength']);
  expect(nearest('tensor_type', ['tensor-type', 'token-embedding-type'])).toEqual(['tensor-type']);
});

test('the command line suggests Q4_K_M for Q4KM, and nothing else', async () => {
  const { code, stderr } = await quantpress(['quantize', 'a.gguf', 'b.gguf', 'Q4KM']);
  expect(code).toBe(2);
  expect(stderr).toContain("unknown preset 'Q4KM'; did you mean Q4_K_M?");
});
