/** The target size, and what is chosen for it: a preset, or a mix of types. */

import { batch, computed, effect, signal } from '@preact/signals';
import type { Mix, Recipe } from 'quantpress';
import { bestWithin } from '../understand/frontier.ts';
import { sentence } from '../ui/sentence.ts';
import { analyses, partly, points, share, standing } from './analysis.ts';
import { findMix } from './mix.ts';
import { opened, whenModelChanges } from './model.ts';
import { applied, chooseMix, choosePreset, imatrix, recipe } from './recipe.ts';
import { consentsOf, mixStepFor, mixWaits } from './transitions.ts';

/** The target size in bytes; `undefined` if the recipe does not come from a target. */
export const aim = signal<number | undefined>(undefined);
/** What is chosen for the size. */
export const taking = signal<'preset' | 'mix'>('preset');
/** The last mix that was found. */
export const mix = signal<Mix | undefined>(undefined);
/** The size of the pending mix, which waits for the measurement. */
const waiting = signal<number | undefined>(undefined);
/** Why the last search failed. */
const failure = signal<string | undefined>(undefined);
/** Why there is no mix, or none yet. */
export const mixTrouble = computed(() => {
  const step = mixStepFor(standing.value, partly.value);
  if (waiting.value !== undefined && step !== 'search') return mixWaits(step, share.value, partly.value);
  return failure.value;
});

/** A drag sets a hundred sizes: the mix is searched when the size has not changed for this many milliseconds. */
const REST = 120;

let turn = 0;
/** The recipe that the last target gave. */
let aimed: Recipe | undefined;
let aimedAt = opened.peek();

/** Selects the best preset or mix of at most this many bytes. */
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

/** Switches between presets and mixes for the same size. */
export function take(what: 'preset' | 'mix', size: number): void {
  batch(() => {
    taking.value = what;
    failure.value = undefined;
    waiting.value = undefined;
  });
  aimAt(aim.peek() ?? size);
}

// A pending search starts as soon as every tensor is measured.
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

// A recipe from elsewhere, or another model, has no target size.
effect(() => {
  const [now, model] = [recipe.value, opened.value];
  if (now === aimed && model === aimedAt) return;
  aimedAt = model;
  aimed = undefined;
  aim.value = undefined;
});

// A mix and its search belong to one model.
whenModelChanges(() => {
  turn += 1;
  taking.value = 'preset';
  mix.value = undefined;
  waiting.value = undefined;
  failure.value = undefined;
});
