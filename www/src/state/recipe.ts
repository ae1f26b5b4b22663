/** The recipe: a preset and the user's changes. */

import { batch, computed, effect, signal } from '@preact/signals';
import { presets, type FormatName, type Preset, type Recipe } from 'quantpress';
import { parseRecipe, recipeQuery } from '../recipe/fragment.ts';
import { BEST_MIX, isMix } from '../recipe/names.ts';
import { replaceQuery, route } from '../route.ts';
import { sentence } from '../ui/sentence.ts';
import { begin, fail, opened, sampleImatrix, tell, whenModelChanges } from './model.ts';
import { outlined, planned as plannedFor } from './planner.ts';
import type { Outline, Planned } from './tensors.ts';
import { addressStep, consentsOf, firstRecipe, obstacleTo, recipeFor, withAnotherModel } from './transitions.ts';
import { listed } from '../ui/visible.ts';

/** The result of a preset on the open model, or why it is impossible. */
export interface Choice {
  readonly preset: Preset;
  readonly plan?: Outline;
  readonly refusal?: string;
  /** Whether it lacks only an importance matrix. */
  readonly lacksImportance?: boolean;
}

/** The default recipe. */
const DEFAULT: Recipe = { preset: 'Q4_K_M' };
const REMEMBERED = 'quantpress.recipe';

export const recipe = signal<Recipe>(
  firstRecipe(route.peek().view, parseRecipe(route.peek().query), remembered(), DEFAULT),
);
export const imatrix = signal<File | undefined>(undefined);
/** Every preset, sorted by its size. */
export const choices = signal<readonly Choice[]>([]);
/** The plan of the recipe; `undefined` while it is not known or impossible. */
export const plan = signal<Planned | undefined>(undefined);
/** Why the recipe cannot be executed. */
export const refusal = signal<string | undefined>(undefined);
/** The recipe kept for comparison, and its plan. */
export const kept = signal<Recipe | undefined>(undefined);
export const keptPlan = signal<Planned | undefined>(undefined);

/** The recipe as it applies to the open model. */
export const applied = computed(() => recipeFor(opened.value, recipe.value));
/** Why the recipe cannot be applied to the open model. */
export const obstacle = computed(() => obstacleTo(opened.value, recipe.value));
/** The display name of the recipe. */
export const recipeName = computed(() => nameOf(recipe.value));

export function nameOf(recipe: Recipe): string {
  const mix = isMix(recipe);
  const own = (recipe.tensorTypes ?? []).filter(({ why }) => why !== BEST_MIX);
  const changes = mix ? changesOf({ ...recipe, tensorTypes: own }) : changesOf(recipe);
  const name = mix ? 'the best mix' : recipe.preset;
  return changes === 0 ? name : `${name} with ${changes} ${changes === 1 ? 'change' : 'changes'}`;
}

/** The number of changes of a recipe to its preset. Consents are not counted. */
export function changesOf({
  preset: _,
  tensorTypes = [],
  allowRequantize: __,
  plain: ___,
  ...options
}: Recipe): number {
  return tensorTypes.length + Object.values(options).filter((value) => value !== undefined && value !== false).length;
}

/** Whether the recipe requantizes quantized tensors. */
export const requantizes = computed(
  () => plan.value?.tensors.treatments.some(({ from, to }) => from !== to && !PLAIN.test(from)) ?? false,
);

/** Unquantized types. */
const PLAIN = /^(F|BF|I)\d/;

/** The last mix that was found for the open model; a mix from a link may be used for another model. */
let found: Recipe | undefined;

/** Uses the mix that was found for the open model. */
export function chooseMix(mix: Recipe): void {
  found = mix;
  recipe.value = mix;
}

/** Keeps the recipe to compare others with. */
export function keepRecipe(): void {
  kept.value = recipe.value;
}

/** Stops comparing. */
export function dropKept(): void {
  kept.value = undefined;
}

/** Swaps the kept recipe and the current one. */
export function swapKept(): void {
  const other = kept.value;
  if (!other) return;
  batch(() => {
    kept.value = recipe.value;
    recipe.value = other;
  });
}

/** Selects a preset without changes. The user's consents for this model are kept. */
export function choosePreset(name: Recipe['preset']): void {
  recipe.value = { preset: name, ...consentsOf(recipe.value) };
}

/** Sets options of the recipe; `undefined` and `false` remove them. */
export function changeRecipe(changes: { [K in keyof Recipe]?: Recipe[K] | undefined }): void {
  const next = Object.entries({ ...recipe.value, ...changes }).filter(
    ([, value]) => value !== undefined && value !== false && !(Array.isArray(value) && value.length === 0),
  );
  recipe.value = Object.fromEntries(next) as unknown as Recipe;
}

/** Sets the type of one tensor; its rule goes before the others, because the first match decides. */
export function setTensorType(name: string, type: FormatName | undefined): void {
  const pattern = exactly(name);
  const others = (recipe.value.tensorTypes ?? []).filter((rule) => rule.pattern !== pattern);
  changeRecipe({ tensorTypes: type === undefined ? others : [{ pattern, type }, ...others] });
}

/** The type that a rule sets for a tensor by name, if any. */
export function ownType(name: string): FormatName | undefined {
  const pattern = exactly(name);
  return recipe.value.tensorTypes?.find((rule) => rule.pattern === pattern)?.type;
}

/**
 * `blk.0.attn_q.weight` -> `^blk\.0\.attn_q\.weight$`. llama-quantize lowercases patterns but not names, so a capital
 * letter must match any letter.
 */
function exactly(name: string): string {
  return `^${name.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&').replace(/[A-Z]/g, '.')}$`;
}

/** Sets the importance matrix for the open model; the sample has its own. `undefined` removes it. */
export async function useImatrix(file: File | 'sample' | undefined): Promise<void> {
  const now = opened.value;
  if (!now) return;
  begin();
  try {
    const matrix = file === 'sample' ? await sampleImatrix() : file;
    // Read once before any plan, so that an invalid file is reported once.
    if (matrix) await plannedFor(now, recipeFor(now, { preset: 'Q8_0', plain: true }), matrix);
    imatrix.value = matrix;
  } catch (error) {
    fail(sentence(error));
  }
}

/** A plan as plain data. */
async function planned(which: Recipe): Promise<Planned> {
  const model = opened.peek();
  if (!model) throw new Error('No model is open');
  return plannedFor(model, recipeFor(model, which), imatrix.peek());
}

/** Runs an asynchronous function whenever the signals it reads change; late results are discarded. */
function following(read: () => unknown, act: (current: () => boolean) => Promise<void>): void {
  let turn = 0;
  effect(() => {
    read();
    const mine = ++turn;
    void act(() => mine === turn);
  });
}

following(
  () => [opened.value, imatrix.value, obstacle.value],
  async (current) => {
    const { model } = opened.peek() ?? {};
    if (!model) return;
    // If no preset is possible, the model shows the reason once.
    if (obstacle.peek() !== undefined) {
      choices.value = [];
      return;
    }
    const all: Choice[] = [];
    let shown = performance.now();
    const show = (): void => {
      shown = performance.now();
      choices.value = inOrder(all, model.source.size);
    };
    const each = distinct().map(async (preset) => {
      all.push(await choiceOf(preset));
      if (current() && performance.now() - shown > SHOWN_EVERY) show();
    });
    await Promise.all(each);
    if (current()) show();
  },
);

following(
  () => [opened.value, imatrix.value, applied.value],
  async (current) => {
    if (!opened.peek()) return;
    const why = obstacle.peek();
    if (why !== undefined) {
      plan.value = undefined;
      refusal.value = why;
      return;
    }
    try {
      const next = await planned(applied.peek());
      if (!current()) return;
      plan.value = next;
      refusal.value = refusalOf(next);
    } catch (error) {
      if (!current()) return;
      plan.value = undefined;
      refusal.value = sentence(error);
    }
  },
);

following(
  () => [opened.value, imatrix.value, kept.value],
  async (current) => {
    const which = kept.peek();
    const next = which && opened.peek() ? await planned(which).catch(() => undefined) : undefined;
    if (current()) keptPlan.value = next;
  },
);

/** What this page last wrote into the URL. */
let written: string | undefined;

// The recipe is in the URL of the first view, so that a link contains it, but never the name of a file. Following or
// editing such a link loads the recipe.
effect(() => {
  const { view, query } = route.value;
  const now = recipeQuery(recipe.value);
  if (kept.value) now.set('vs', recipeQuery(kept.value).toString());
  if (view !== '') return;
  const there = query.toString();
  const wanted = parseRecipe(query);
  const step = addressStep({ query: there, named: wanted !== undefined }, written, now.toString());
  if (step === 'read' && wanted) {
    written = there;
    const other = parseRecipe(new URLSearchParams(query.get('vs') ?? ''));
    batch(() => {
      if (recipeQuery(wanted).toString() !== recipeQuery(recipe.peek()).toString()) recipe.value = wanted;
      if (other && !kept.peek()) kept.value = other;
    });
  } else if (step === 'nothing') {
    written = there;
  } else if (opened.value) {
    written = now.toString();
    replaceQuery(now);
  }
});

// The URLs of other views have no recipe: there the tab stores it.
effect(() => {
  const query = recipeQuery(recipe.value).toString();
  try {
    sessionStorage.setItem(REMEMBERED, query);
  } catch {
    // Without storage it is kept until the page is reloaded.
  }
});

function remembered(): Recipe | undefined {
  try {
    return parseRecipe(new URLSearchParams(sessionStorage.getItem(REMEMBERED) ?? ''));
  } catch {
    return undefined;
  }
}

// The importance matrix and the consent to requantize belong to the model that was open.
whenModelChanges((before) => {
  const mixRecipe = found && isMix(recipe.peek()) ? recipe.peek() : undefined;
  const plain = recipeFor(before, recipe.peek()).plain ?? false;
  const session = { recipe: recipe.peek(), mixRecipe, imatrix: imatrix.peek()?.name, plain };
  found = undefined;
  const after = withAnotherModel(session, DEFAULT, before.fileName);
  recipe.value = after.recipe;
  imatrix.value = after.imatrix;
  tell(after.notice);
  plan.value = undefined;
  refusal.value = undefined;
  choices.value = [];
});

/** Why a plan cannot be executed. */
function refusalOf({ missing }: Planned): string | undefined {
  if (missing.length > 0) return needsImportance(missing);
  if (requantizes.peek() && !recipe.peek().allowRequantize) return 'The file is already quantized.';
  return undefined;
}

function needsImportance(missing: readonly string[]): string {
  return `${missing.length === 1 ? `${listed(missing[0] ?? '')} needs` : `${missing.length} tensors need`} an importance matrix.`;
}

/** If planning the presets takes long, the known ones are shown at this interval: milliseconds. */
const SHOWN_EVERY = 1000;

/** The presets of interest, the largest first. */
function inOrder(all: readonly Choice[], original: number): Choice[] {
  // Only presets that make the file smaller.
  const smaller = all.filter(({ plan }) => !plan || plan.size < original);
  // Of two with equal size the more common name first: without experts MXFP4_MOE equals Q8_0.
  return smaller.sort(
    (a, b) => (b.plan?.size ?? 0) - (a.plan?.size ?? 0) || a.preset.name.length - b.preset.name.length,
  );
}

/** Each preset once: `Q4_K` is another name of `Q4_K_M`, and the longer name is more specific. */
function distinct(): Preset[] {
  const all = presets();
  return all.filter(
    ({ name, ftype }) => !all.some((other) => other.ftype === ftype && other.name.length > name.length),
  );
}

async function choiceOf(preset: Preset): Promise<Choice> {
  try {
    const model = opened.peek();
    if (!model) throw new Error('No model is open');
    const plan = await outlined(model, recipeFor(model, { preset: preset.name, plain: true }), imatrix.peek());
    return plan.missing.length > 0
      ? { preset, plan, refusal: needsImportance(plan.missing), lacksImportance: true }
      : { preset, plan };
  } catch (error) {
    return { preset, refusal: sentence(error) };
  }
}
