/** A recipe as a URL: short, and decoded to the same recipe. */

import fc from 'fast-check';
import type { FormatName, Recipe } from 'quantpress';
import { expect, test, vi } from 'vitest';
import { parseRecipe, recipeQuery } from '../../www/src/recipe/fragment.js';
import { BEST_MIX } from '../../www/src/recipe/names.js';
import { packRules, unpackRules } from '../../www/src/recipe/rules.js';

const exactly = (name: string): string => `^${name.replaceAll('.', '\\.')}$`;
const KINDS = ['attn_k', 'attn_output', 'attn_q', 'attn_v', 'ffn_down', 'ffn_gate', 'ffn_up'];
const TYPES: FormatName[] = ['Q3_K', 'Q4_K', 'IQ4_XS', 'Q5_K', 'Q6_K', 'Q8_0'];

/** A mix for a model with this many layers, with independent types. */
function mixOf(layers: number): Recipe {
  const names = Array.from({ length: layers }, (_, layer) => KINDS.map((kind) => `blk.${layer}.${kind}.weight`)).flat();
  const tensorTypes = [...names, 'output.weight', 'token_embd.weight'].map((name, index) => {
    const type = TYPES[(index * 7 + (index >> 2)) % TYPES.length] as FormatName;
    return { pattern: exactly(name), type, why: 'best mix' };
  });
  return { preset: 'Q6_K', tensorTypes };
}

const sorted = (rules: Recipe['tensorTypes']) => [...(rules ?? [])].sort((a, b) => (a.pattern < b.pattern ? -1 : 1));

test('a link to a mix of 30 tensors has less than 500 characters and decodes to the same mix', () => {
  const recipe = mixOf(4);
  expect(recipe.tensorTypes).toHaveLength(30);
  const text = recipeQuery(recipe).toString();
  expect(text.length).toBeLessThan(500);
  const read = parseRecipe(new URLSearchParams(text));
  expect(sorted(read?.tensorTypes)).toEqual(sorted(recipe.tensorTypes));
  expect(read?.preset).toBe('Q6_K');
  // A decoded recipe is encoded to the same text, so the page does not react to its own link.
  expect(recipeQuery(read as Recipe).toString()).toBe(text);
});

test('a mix of 94 layers takes less than 10 characters per tensor, whatever the types', () => {
  const recipe = mixOf(94);
  const text = recipeQuery(recipe).toString();
  expect(text.length / (recipe.tensorTypes?.length ?? 0)).toBeLessThan(10);
  expect(sorted(parseRecipe(new URLSearchParams(text))?.tensorTypes)).toEqual(sorted(recipe.tensorTypes));
});

test('rules of all kinds keep their order and their decisions', () => {
  const rules: Recipe['tensorTypes'] = [
    { pattern: exactly('blk.1.attn_q.weight'), type: 'Q6_K' },
    { pattern: 'attn_v|ffn_(up|down)', type: 'Q8_0' },
    { pattern: exactly('blk.1.attn_v.weight'), type: 'Q4_K' },
    { pattern: '^Blk.=x', type: 'Q5_0' },
  ];
  const recipe: Recipe = { preset: 'Q4_K_M', tensorTypes: rules, pure: true };
  expect(parseRecipe(new URLSearchParams(recipeQuery(recipe).toString()))).toEqual(recipe);
});

test('a mix of thousands of rules looks at each of them a few times, and is written once', () => {
  const count = 4096;
  const tensorTypes = Array.from({ length: count }, (_, layer) => {
    return { pattern: exactly(`blk.${layer}.ffn_up.weight`), type: 'Q6_K' as const, why: BEST_MIX };
  });
  const recipe: Recipe = { preset: 'Q4_K_M', tensorTypes };
  const matched = vi.spyOn(RegExp.prototype, 'exec');
  const text = recipeQuery(recipe).toString();
  expect(matched.mock.calls.length).toBeLessThanOrEqual(5 * count);
  matched.mockClear();
  expect(recipeQuery(recipe).toString()).toBe(text);
  expect(matched).not.toHaveBeenCalled();
  matched.mockRestore();
});

test('the link contains the consent to a plain container', () => {
  const recipe: Recipe = { preset: 'Q8_0', plain: true, pure: true };
  const text = recipeQuery(recipe).toString();
  expect(new URLSearchParams(text).has('plain')).toBe(true);
  expect(parseRecipe(new URLSearchParams(text))).toEqual(recipe);
  expect(parseRecipe(new URLSearchParams('preset=Q8_0&plain'))?.plain).toBe(true);
});

test('a malformed percent sequence in a link is read as text, and the rest of the recipe is read', () => {
  const recipe = parseRecipe(new URLSearchParams('preset=Q6_K&type=%E0%A4%A=Q8_0&kv=100%&%zz&pure'));
  expect(recipe?.preset).toBe('Q6_K');
  expect(recipe?.pure).toBe(true);
  expect(recipe?.overrideKv).toEqual(['100%']);
});

test('any set of tensors survives the link', () => {
  const word = fc.stringMatching(/^[a-z][a-z0-9_]{0,8}$/);
  const name = fc.oneof(
    word,
    fc.tuple(fc.constantFrom('blk', 'enc.blk', 'v.blk', 'layers'), fc.nat(200), word).map((parts) => parts.join('.')),
    fc.tuple(fc.constantFrom('blk'), fc.nat(9), word, fc.nat(9), word).map((parts) => parts.join('.')),
  );
  const rules = fc.uniqueArray(fc.tuple(name, fc.constantFrom(...TYPES)), {
    selector: ([name]) => name,
    maxLength: 60,
  });
  fc.assert(
    fc.property(rules, (pairs) => {
      const all = pairs.map(([name, type]) => ({ pattern: exactly(`${name}.weight`), type }));
      expect(sorted(unpackRules(packRules(all) ?? '?', 1000))).toEqual(sorted(all));
    }),
    { seed: 14, numRuns: 300 },
  );
});

test.each([
  'attn_q Q6_K 0-99999 Q5_K 0-99999',
  '*** !!! 9-1 Q4_K',
  'x*y*z Q4_K',
  'Q4_K 1 attn_q 1 Q4_K',
  '\u202e Q4_K',
])('damaged text gives a bounded number of valid rules: %j', (text) => {
  const rules = unpackRules(text, 1000);
  expect(rules.length).toBeLessThanOrEqual(1000);
  for (const { pattern, type } of rules) expect(`${pattern} ${type}`).toMatch(/^\^[a-z0-9_.\\-]+\$ [A-Z0-9_]+$/);
});
