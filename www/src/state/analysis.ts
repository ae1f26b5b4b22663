/** What every format does to the open model: measured in the background, shown as it comes in. */

import { batch, computed, effect, signal } from '@preact/signals';
import { analyzeModel, type Model, type TensorAnalysis } from 'quantpress';
import { damageOf } from '../understand/damage.ts';
import { sentence } from '../ui/sentence.ts';
import { opened, opening } from './model.ts';
import { choices, imatrix, kept, keptPlan, plan } from './recipe.ts';
import { standingOf } from './transitions.ts';
import { worker } from './workers.ts';

export type Analysing =
  | { readonly state: 'idle' | 'done' }
  | { readonly state: 'running'; readonly done: number; readonly all: number }
  | { readonly state: 'failed'; readonly message: string };

export const analysing = signal<Analysing>({ state: 'idle' });
export const analyses = signal<ReadonlyMap<string, TensorAnalysis>>(new Map());
/** Whether a pass over all tensors of the open model has ended: from then on no figure is missing, they only get better. */
export const covered = signal(false);

/** What the page is doing with a model: see www/STATES.md. */
export const standing = computed(() =>
  standingOf({
    open: opened.value !== undefined,
    opening: opening.value !== undefined,
    obstacle: opened.value?.obstacle,
    measuring: analysing.value.state,
    covered: covered.value,
  }),
);

/** How far the pass under way is, from 0 to 1. */
export const share = computed(() => {
  const now = analysing.value;
  return now.state === 'running' ? now.done / Math.max(1, now.all) : 0;
});

/** What the recipe costs. */
export const total = computed(() => plan.value && damageOf(plan.value, analyses.value));
export const keptTotal = computed(() => kept.value && keptPlan.value && damageOf(keptPlan.value, analyses.value));

/** A preset on the chart of size and damage. */
export interface Point {
  readonly name: string;
  readonly size: number;
  readonly bitsPerWeight: number;
  readonly error: number | undefined;
  readonly refused: boolean;
}

export const points = computed((): Point[] =>
  choices.value.flatMap(({ preset, plan, refusal }) => {
    if (!plan) return [];
    const { size, bitsPerWeight, error } = damageOf(plan, analyses.value);
    return [{ name: preset.name, size, bitsPerWeight, error, refused: refusal !== undefined }];
  }),
);

/** How well it is known: first from a little of each tensor, then from more, and from all of it if that is asked for. */
const PASSES: readonly { readonly sample: number | 'all'; readonly asked?: boolean }[] = [
  { sample: 1 << 14 },
  { sample: 1 << 18 },
  { sample: 'all', asked: true },
];

/** Weights that were looked at, of those that are quantized. */
export const sampled = computed(() => {
  let [looked, all] = [0, 0];
  for (const { sampled, weights } of analyses.value.values()) {
    looked += sampled;
    all += weights;
  }
  return { looked, all };
});

let stop = new AbortController();

effect(() => {
  const current = opened.value;
  const matrix = imatrix.value;
  stop.abort();
  batch(() => {
    analyses.value = new Map();
    covered.value = false;
    analysing.value = { state: 'idle' };
  });
  // Behind an address every piece is a request: there the first look has to do, until more is asked for.
  const passes = PASSES.filter(({ asked }, pass) => !asked && (pass === 0 || current?.from !== 'network'));
  if (current && current.obstacle === undefined) void measure(current.model, matrix, passes);
});

/** Looks at every weight. */
export function measureAll(): void {
  const current = opened.peek();
  if (current)
    void measure(
      current.model,
      imatrix.peek(),
      PASSES.filter(({ asked }) => asked),
    );
}

/** The views are drawn anew this often at most: milliseconds. */
const SHOWN_EVERY = 250;

async function measure(model: Model, matrix: File | undefined, passes: typeof PASSES): Promise<void> {
  stop.abort();
  stop = new AbortController();
  const { signal } = stop;
  try {
    const options = { imatrix: matrix, signal, workerUrl: await worker };
    for (const { sample } of passes) {
      if (whole()) break;
      const found = new Map(analyses.peek());
      let shown = 0;
      analysing.value = { state: 'running', done: 0, all: 1 };
      await analyzeModel(model, {
        ...options,
        sample,
        onProgress: ({ done, total, finished }) => {
          if (finished) found.set(finished.name, finished);
          if (signal.aborted || performance.now() - shown < SHOWN_EVERY) return;
          shown = performance.now();
          batch(() => {
            analyses.value = new Map(found);
            analysing.value = { state: 'running', done, all: total };
          });
        },
      });
      if (signal.aborted) return;
      batch(() => {
        analyses.value = found;
        covered.value = true;
      });
    }
    analysing.value = { state: 'done' };
  } catch (error) {
    if (!signal.aborted) analysing.value = { state: 'failed', message: sentence(error) };
  }
}

/** Whether every weight was looked at, by every format. */
function whole(): boolean {
  const all = [...analyses.peek().values()];
  return (
    all.length > 0 &&
    all.every(({ formats, weights }) => formats.every((of) => of.refusal !== undefined || of.sampled === weights))
  );
}
