/** The size one wants, and what is made to fit in it: a preset, or a mix of types that is found for it. */

import { batch, computed, effect, signal } from '@preact/signals';
import type { Mix, Recipe } from 'quantpress';
import { bestWithin } from '../understand/frontier.ts';
import { sentence } from '../ui/sentence.ts';
import { analyses, partly, points, share, standing } from './analysis.ts';
import { findMix } from './mix.ts';
import { opened, whenModelChanges } from './model.ts';
import { applied, chooseMix, choosePreset, imatrix, recipe } from './recipe.ts';
import { consentsOf, mixStepFor, mixWaits } from './transitions.ts';

/** Bytes that were aimed at; nothing while the recipe came from elsewhere. */
export const aim = signal<number | undefined>(undefined);
/** What is taken for a size. */
export const taking = signal<'preset' | 'mix'>('preset');
/** The last mix that was found. */
export const mix = signal<Mix | undefined>(undefined);
/** The size of the mix that waits until there are figures to choose by. */
const waiting = signal<number | undefined>(undefined);
/** Why the last search has found none. */
const failure = signal<string | undefined>(undefined);
/** Why there is no mix, or none yet. */
export const mixTrouble = computed(() => {
  const step = mixStepFor(standing.value, partly.value);
  if (waiting.value !== undefined && step !== 'search') return mixWaits(step, share.value, partly.value);
  return failure.value;
});

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
    if (mine === turn) waiting.value = size;
  }, REST);
}

/** From presets to mixes and back, for the same size. */
export function take(what: 'preset' | 'mix', size: number): void {
  batch(() => {
    taking.value = what;
    failure.value = undefined;
    waiting.value = undefined;
  });
  aimAt(aim.peek() ?? size);
}

// A size that waits is searched for as soon as every tensor has figures.
effect(() => {
  const size = waiting.value;
  if (size === undefined || mixStepFor(standing.value, partly.value) !== 'search') return;
  const mine = turn;
  waiting.value = undefined;
  void find(size, () => mine === turn);
});

async function find(size: number, current: () => boolean): Promise<void> {
  const model = opened.peek();
  if (!model) return;
  try {
    const tensors = [...analyses.peek().values()];
    const found = await findMix(model, tensors, size, { imatrix: imatrix.peek(), recipe: consentsOf(applied.peek()) });
    if (!current()) return;
    batch(() => {
      failure.value = undefined;
      mix.value = found;
      chooseMix(found.recipe);
      aimed = found.recipe;
    });
  } catch (error) {
    if (current()) failure.value = sentence(error);
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

// A mix is of one model, and so is a search for it.
whenModelChanges(() => {
  turn += 1;
  taking.value = 'preset';
  mix.value = undefined;
  waiting.value = undefined;
  failure.value = undefined;
});
