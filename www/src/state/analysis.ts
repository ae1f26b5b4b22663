/** The errors of every format on the open model, measured in the background and shown as they arrive. */

import { batch, computed, effect, signal } from '@preact/signals';
import { analyzeModel, type Model, type PresetName, type TensorAnalysis } from 'quantpress';
import { damageOf, differencesOf, errorOf, measuredIn, type MeasuredTensor, PIECE } from '../understand/damage.ts';
import { descendingKeys } from '../understand/order.ts';
import { sentence } from '../ui/sentence.ts';
import { derived, inTurns, type Pieces } from './derived.ts';
import { opened, opening } from './model.ts';
import { applied, choices, imatrix, kept, keptPlan, obstacle, plan, type Choice } from './recipe.ts';
import { MANY } from './planner.ts';
import type { Planned, PlannedTensors } from './tensors.ts';
import { standingOf } from './transitions.ts';
import { worker } from './workers.ts';

export type Analysing =
  | { readonly state: 'idle' | 'done' }
  | { readonly state: 'running'; readonly done: number; readonly all: number }
  | { readonly state: 'failed'; readonly message: string };

export const analysing = signal<Analysing>({ state: 'idle' });
export const analyses = signal<ReadonlyMap<string, TensorAnalysis>>(new Map());
/**
 * Whether a pass over all tensors of the open model has ended: from then on no figure is missing, and later passes only
 * refine them.
 */
export const covered = signal(false);

/** What the page is doing with a model: see www/STATES.md. */
export const standing = computed(() =>
  standingOf({
    open: opened.value !== undefined,
    opening: opening.value !== undefined,
    obstacle: obstacle.value,
    measuring: analysing.value.state,
    covered: covered.value,
  }),
);

/** The progress of the current pass, from 0 to 1. */
export const share = computed(() => {
  const now = analysing.value;
  return now.state === 'running' ? now.done / Math.max(1, now.all) : 0;
});

/** The errors of the recipe. */
export const total = derived(() => of(plan.value));
export const keptTotal = derived(() => of(kept.value && keptPlan.value));

function of(plan: Planned | undefined) {
  return plan && damageOf(plan, analyses.value);
}

/** The number of differences between two recipes that are shown. */
export const SHOWN_DIFFERENCES = 50;
/** The tensors that the kept recipe and this one give different types. */
export const differences = derived(() => {
  const [a, b] = [keptTotal.value, total.value];
  return a && b && differencesOf(a.tensors, b.tensors, SHOWN_DIFFERENCES);
});

/** A preset on the chart of size and error. */
export interface Point {
  readonly name: PresetName;
  readonly size: number;
  readonly bitsPerWeight: number;
  readonly error: number | undefined;
  readonly refused: boolean;
}

const measuredPoints = derived(() => pointsOf(choices.value, analyses.value));
export const points = computed((): readonly Point[] => measuredPoints.value ?? []);

function* pointsOf(choices: readonly Choice[], analyses: ReadonlyMap<string, TensorAnalysis>): Pieces<Point[]> {
  const points: Point[] = [];
  // Plans of many tensors share them.
  const measured = new Map<PlannedTensors, MeasuredTensor[]>();
  for (const { preset, plan, refusal } of choices) {
    if (!plan) continue;
    const known = measured.get(plan.tensors) ?? (yield* measuredIn(plan.tensors, analyses));
    measured.set(plan.tensors, known);
    const { error, bitsPerWeight } = yield* errorOf(plan, known);
    points.push({ name: preset.name, size: plan.size, bitsPerWeight, error, refused: refusal !== undefined });
  }
  return points;
}

/** The sample sizes of the passes: first a little of each tensor, then more, and all of it on request. */
const PASSES: readonly { readonly sample: number | 'all'; readonly asked?: boolean }[] = [
  { sample: 1 << 14 },
  { sample: 1 << 18 },
  { sample: 'all', asked: true },
];

/** At most this many tensors of a file are measured, the largest; the others are assumed to have the same error. */
const MOST_MEASURED = 4096;

/** The tensors that are measured, if not all are: only for a model whose tensors have the names in plans. */
function* measurable({ tensors, container }: Model, plain: boolean): Pieces<string[] | undefined> {
  if ((container !== 'gguf' && !plain) || tensors.length <= MOST_MEASURED) return undefined;
  const matrices: string[] = [];
  const sizes = new Float64Array(tensors.length);
  for (const [index, { name, shape, bytes }] of tensors.entries()) {
    if (shape.length > 1) sizes[matrices.push(name) - 1] = bytes;
    if (index % PIECE === PIECE - 1) yield;
  }
  const places = yield* descendingKeys(sizes.subarray(0, matrices.length));
  return Array.from(places.subarray(0, MOST_MEASURED), (place) => matrices[place] ?? '');
}

/** Whether some tensors of the open model are not measured at all. */
export const partly = computed(() => {
  const { model, plainly } = opened.value ?? {};
  return (
    model !== undefined && (model.container === 'gguf' || plainly === true) && model.tensors.length > MOST_MEASURED
  );
});

/** The number of sampled weights, and whether some tensors are not measured at all. */
export const sampled = computed(() => {
  let [looked, all] = [0, 0];
  for (const { sampled, weights } of analyses.value.values()) {
    looked += sampled;
    all += weights;
  }
  return { looked, all, partly: partly.value };
});

let stop = new AbortController();

effect(() => {
  const current = opened.value;
  const matrix = imatrix.value;
  const obstructed = obstacle.value !== undefined;
  stop.abort();
  batch(() => {
    analyses.value = new Map();
    covered.value = false;
    analysing.value = { state: 'idle' };
  });
  // At a URL every piece is a request, so only the first pass runs, until the user requests more.
  const passes = PASSES.filter(({ asked }, pass) => !asked && (pass === 0 || current?.from !== 'network'));
  if (current && !obstructed) void measure(current.model, matrix, passes);
});

/** Measures every weight. */
export function measureAll(): void {
  const current = opened.peek();
  if (current)
    void measure(
      current.model,
      imatrix.peek(),
      PASSES.filter(({ asked }) => asked),
    );
}

/** The minimum interval between two updates of the views: milliseconds. */
const SHOWN_EVERY = 250;
/** The same with many tensors, whose figures take a while to sum. */
const SHOWN_RARELY = 2000;

async function measure(model: Model, matrix: File | undefined, passes: typeof PASSES): Promise<void> {
  stop.abort();
  stop = new AbortController();
  const { signal } = stop;
  try {
    const tensors = await inTurns(measurable(model, applied.peek().plain ?? false));
    const options = { imatrix: matrix, signal, workerUrl: await worker, tensors };
    const every = model.tensors.length > MANY ? SHOWN_RARELY : SHOWN_EVERY;
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
          if (signal.aborted || performance.now() - shown < every) return;
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

/** Whether every format was measured on every weight. */
function whole(): boolean {
  const all = [...analyses.peek().values()];
  return (
    all.length > 0 &&
    all.every(({ formats, weights }) => formats.every((of) => of.refusal !== undefined || of.sampled === weights))
  );
}
