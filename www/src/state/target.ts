/** The size one wants, and what is made to fit in it: a preset, or a mix of types that is found for it. */

import { batch, effect, signal } from '@preact/signals';
import type { Mix, Recipe } from 'quantpress';
import { bestWithin } from '../understand/frontier.ts';
import { sentence } from '../ui/sentence.ts';
import { analyses, analysing, points } from './analysis.ts';
import { findMix } from './mix.ts';
import { opened } from './model.ts';
import { choosePreset, imatrix, mixRecipe, recipe } from './recipe.ts';

/** Bytes that were aimed at; nothing while the recipe came from elsewhere. */
export const aim = signal<number | undefined>(undefined);
/** What is taken for a size. */
export const taking = signal<'preset' | 'mix'>('preset');
/** The last mix that was found, and why there is none. */
export const mix = signal<Mix | undefined>(undefined);
export const mixTrouble = signal<string | undefined>(undefined);

/** A drag is a hundred aims: the mix is found for the one it ends with, or rests on. Milliseconds. */
const REST = 120;

let turn = 0;
/** The recipe that the last aim has given. */
let aimed: Recipe | undefined;
let aimedAt = opened.peek();

/** Takes the best that fits into so many bytes. */
export function aimAt(size: number): void {
  aim.value = size;
  const mine = ++turn;
  if (taking.peek() === 'preset') {
    const measured = points.peek().flatMap(({ error, ...point }) => (error ? [{ ...point, error }] : []));
    const best = bestWithin(measured, size);
    batch(() => {
      if (best) choosePreset(best.name);
      aimed = recipe.peek();
    });
    return;
  }
  setTimeout(() => {
    if (mine === turn) void find(size, () => mine === turn);
  }, REST);
}

/** From presets to mixes and back, for the same size. */
export function take(what: 'preset' | 'mix', size: number): void {
  taking.value = what;
  mixTrouble.value = undefined;
  aimAt(aim.peek() ?? size);
}

async function find(size: number, current: () => boolean): Promise<void> {
  const model = opened.peek();
  if (!model || analysing.peek().state === 'failed') return;
  try {
    const tensors = model.model.tensors.flatMap(({ name }) => analyses.peek().get(name) ?? []);
    const allowRequantize = recipe.peek().allowRequantize ?? false;
    const found = await findMix(model, tensors, size, { imatrix: imatrix.peek(), allowRequantize });
    if (!current()) return;
    mixTrouble.value = undefined;
    batch(() => {
      mix.value = found;
      mixRecipe.value = found.recipe;
      recipe.value = found.recipe;
      aimed = found.recipe;
    });
  } catch (error) {
    if (current()) mixTrouble.value = sentence(error);
  }
}

// A recipe from elsewhere, or another model, is aimed at by nobody.
effect(() => {
  const [now, model] = [recipe.value, opened.value];
  if (now === aimed && model === aimedAt) return;
  aimedAt = model;
  aimed = undefined;
  aim.value = undefined;
});
