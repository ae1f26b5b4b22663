/**
 * A recipe as URL parameters: `preset=Q4_K_M&type=attn_v=Q8_0&pure`. Readable, and safe to edit by hand.
 *
 * A best mix has many rules for one tensor each: a run of them is one parameter, see `rules.ts`. `mix=...` marks a best
 * mix, `set=...` rules that the user set.
 */

import type { FormatName, Recipe } from 'quantpress';
import { BEST_MIX } from './names.js';
import { isPackable, packRules, unpackRules, type Rule } from './rules.js';

const FLAGS = {
  pure: 'pure',
  leaveOutputTensor: 'leave-output',
  allowRequantize: 'requantize',
  plain: 'plain',
} as const;
const TYPES = { outputTensorType: 'output', tokenEmbeddingType: 'embedding' } as const;
const LISTS = { includeWeights: 'include', excludeWeights: 'exclude', overrideKv: 'kv' } as const;

/** The maximum number of rules that are read from a URL. */
const MOST = 10_000;

/** Recipes as text: a best mix has thousands of rules, and a recipe is asked for by several views. */
const known = new WeakMap<Recipe, string>();

/** The parameters of a recipe, which must not be changed afterwards. */
export function recipeQuery(recipe: Recipe): URLSearchParams {
  const text = known.get(recipe) ?? parametersOf(recipe).toString();
  known.set(recipe, text);
  return new URLSearchParams(text);
}

function parametersOf(recipe: Recipe): URLSearchParams {
  const query = new URLSearchParams({ preset: recipe.preset });
  for (const [key, name] of entries(FLAGS)) if (recipe[key]) query.set(name, '');
  for (const [key, name] of entries(TYPES)) if (recipe[key]) query.set(name, recipe[key]);
  for (const [key, name] of entries(LISTS)) for (const value of recipe[key] ?? []) query.append(name, value);
  for (const run of runsOf(recipe.tensorTypes ?? [])) {
    const packed = run.length > 1 || isOfMix(run[0]) ? packRules(run) : undefined;
    if (packed !== undefined) query.append(isOfMix(run[0]) ? 'mix' : 'set', packed);
    else for (const { pattern, type } of run) query.append('type', `${pattern}=${type}`);
  }
  if (recipe.pruneLayers?.length) query.set('prune', recipe.pruneLayers.join(','));
  return query;
}

/** The recipe of parameters; `undefined` if they name no preset. The engine checks the names. */
export function parseRecipe(query: URLSearchParams): Recipe | undefined {
  // A link is read before the engine is loaded, which has the table of presets; the page shows a name that is not in it, and
  // the engine's error.
  const preset = query.get('preset') as Recipe['preset'] | null;
  if (!preset) return undefined;
  const recipe: { -readonly [K in keyof Recipe]: Recipe[K] } = { preset };
  for (const [key, name] of entries(FLAGS)) if (query.has(name)) recipe[key] = true;
  for (const [key, name] of entries(TYPES)) if (query.get(name)) recipe[key] = query.get(name) as FormatName;
  for (const [key, name] of entries(LISTS)) if (query.has(name)) recipe[key] = query.getAll(name).slice(0, MOST);
  const rules: Rule[] = [];
  // In the order of the URL, because the first matching rule decides.
  for (const [name, text] of query) {
    if (name === 'type') rules.push(...rule(text));
    if (name === 'set') rules.push(...unpackRules(text, MOST));
    if (name === 'mix') rules.push(...unpackRules(text, MOST).map((one) => ({ ...one, why: BEST_MIX })));
  }
  if (rules.length > 0) recipe.tensorTypes = rules.slice(0, MOST);
  const layers = (query.get('prune') ?? '').split(',').filter(Boolean).map(Number).filter(Number.isInteger);
  if (layers.length > 0) recipe.pruneLayers = layers.slice(0, MOST);
  return recipe;
}

/** `PATTERN=TYPE`: a pattern may have an equals sign, a type has none. */
function rule(text: string): Rule[] {
  const at = text.lastIndexOf('=');
  return at > 0 ? [{ pattern: text.slice(0, at), type: text.slice(at + 1) as FormatName }] : [];
}

function isOfMix(rule: Rule | undefined): boolean {
  return rule?.why === BEST_MIX;
}

/** Neighbouring rules that can form one parameter. */
function runsOf(rules: readonly Rule[]): Rule[][] {
  const runs: Rule[][] = [];
  let packs = false;
  for (const rule of rules) {
    const run = runs.at(-1);
    const joins = packs && isOfMix(run?.[0]) === isOfMix(rule);
    packs = isPackable(rule);
    if (run && joins && packs) run.push(rule);
    else runs.push([rule]);
  }
  return runs;
}

function entries<K extends string, V extends string>(table: Record<K, V>): [K, V][] {
  return Object.entries(table) as [K, V][];
}
