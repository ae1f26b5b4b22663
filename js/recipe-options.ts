/** Reads recipes: their options, and rules for tensors. */

import { expectArray, expectText, readSize } from './check.js';
import type { Recipe } from './model-plan.js';
import { flag, readNamedOptions, shape, text, texts, type Reader, type ReaderTable } from './options.js';

type Rule = NonNullable<Recipe['tensorTypes']>[number];

const RULE: ReaderTable<Rule> = { pattern: text, type: text, why: text };

const rules: Reader<readonly Rule[]> = (name, value) => {
  expectArray(name, value);
  return value.map((item, index) => {
    const rule = readNamedOptions('a rule of tensorTypes', `${name}[${index}]`, RULE, item);
    expectText(`${name}[${index}].pattern`, rule.pattern);
    expectText(`${name}[${index}].type`, rule.type);
    return rule;
  });
};

const RECIPE: ReaderTable<Recipe> = {
  preset: text,
  pure: flag,
  leaveOutputTensor: flag,
  outputTensorType: text,
  tokenEmbeddingType: text,
  tensorTypes: rules,
  allowRequantize: flag,
  includeWeights: texts,
  excludeWeights: texts,
  overrideKv: texts,
  pruneLayers: shape,
  keepSplit: flag,
  splitMaxSize: (name, value) => {
    readSize(name, value);
    return value as number | string;
  },
  doubleQuant: flag,
  excludeModules: texts,
  imatrixFile: text,
  preTokenizer: text,
  plain: flag,
};

/** A recipe with all its options checked, or a preset's name. `owner` is the function it is for. */
export function readRecipe(owner: string, recipe: unknown): Recipe {
  if (typeof recipe === 'string') return { preset: recipe };
  const given = readNamedOptions<Recipe>(`the recipe of ${owner}`, 'recipe', RECIPE, recipe);
  expectText('recipe.preset', given.preset);
  return given;
}

/** The options of a recipe whose preset is chosen later. */
export function readRecipeOptions(owner: string, recipe: unknown): Omit<Recipe, 'preset'> {
  const { preset: _, pure: __, ...table } = RECIPE;
  return readNamedOptions<Omit<Recipe, 'preset' | 'pure'>>(`the recipe of ${owner}`, 'recipe', table, recipe);
}
