/** What the page knows. Views read signals; only the functions here change them. */

import { computed, signal } from '@preact/signals';
import {
  init,
  openModel,
  planModel,
  presets,
  quantizeModel,
  QuantpressError,
  type Model,
  type Plan,
  type Preset,
  type Progress,
} from 'quantpress';
import sampleUrl from '../../tests/fixtures/tiny-whale/tiny-whale-f16.gguf?url';
import sampleImatrixUrl from '../../tests/fixtures/tiny-whale/tiny-whale.imatrix.gguf?url';
import { keep, type Saved } from './save.ts';

/** A model that is open, with the name of its file. */
export interface Opened {
  readonly model: Model;
  readonly fileName: string;
  readonly sample: boolean;
}

/** What a preset would make of the open model, and why it cannot be made if it cannot. */
export interface Choice {
  readonly preset: Preset;
  readonly plan?: Plan;
  readonly refusal?: string;
  /** Whether an importance matrix is all it lacks. */
  readonly lacksImportance?: boolean;
}

export type Job =
  | { readonly state: 'idle' }
  | { readonly state: 'running'; readonly progress?: Progress }
  | { readonly state: 'done'; readonly saved: Saved; readonly seconds: number }
  | { readonly state: 'failed'; readonly message: string };

export const opened = signal<Opened | undefined>(undefined);
export const imatrix = signal<File | undefined>(undefined);
export const opening = signal(false);
export const problem = signal<string | undefined>(undefined);
export const choices = signal<readonly Choice[]>([]);
export const chosen = signal('Q4_K_M');
export const job = signal<Job>({ state: 'idle' });

/** The plan of the chosen preset; none if it cannot be made. */
export const plan = computed(() => {
  const choice = choices.value.find(({ preset, refusal }) => preset.name === chosen.value && !refusal);
  return choice?.plan;
});

const NEEDS_IMPORTANCE = 'Needs an importance matrix.';
let abort: AbortController | undefined;

/** Opens the built-in model. */
export async function openSample(): Promise<void> {
  await open(() => fetchFile(sampleUrl, 'tiny-whale-f16.gguf'), true);
}

/** Opens a file the person chose or dropped. */
export async function openFile(file: File): Promise<void> {
  await open(async () => file, false);
}

async function open(get: () => Promise<File>, sample: boolean): Promise<void> {
  if (opening.value || job.value.state === 'running') return;
  opening.value = true;
  problem.value = undefined;
  try {
    await init();
    const file = await get();
    const model = await openModel(file);
    opened.value = { model, fileName: file.name, sample };
    imatrix.value = undefined;
    await planAll(model);
  } catch (error) {
    problem.value = sentence(error);
  } finally {
    opening.value = false;
  }
}

/** Plans every preset: sizes follow from shapes, so no weight is read. */
async function planAll(model: Model): Promise<void> {
  const all = await Promise.all(distinct().map((preset) => choiceOf(model, preset)));
  for (const { plan } of choices.value) plan?.free();
  job.value = { state: 'idle' };
  // Whoever comes here wants a smaller file.
  const smaller = all.filter(({ plan }) => !plan || plan.size < model.source.size);
  choices.value = smaller.sort((a, b) => (b.plan?.size ?? 0) - (a.plan?.size ?? 0));
  if (!plan.value) chosen.value = choices.value.find((choice) => !choice.refusal)?.preset.name ?? '';
}

/** Takes an importance matrix for the open model; the sample has one of its own. Nothing: goes on without. */
export async function useImatrix(file: File | 'sample' | undefined): Promise<void> {
  const model = opened.value?.model;
  if (!model || job.value.state === 'running') return;
  const before = imatrix.value;
  problem.value = undefined;
  try {
    imatrix.value = file === 'sample' ? await fetchFile(sampleImatrixUrl, 'tiny-whale.imatrix.gguf') : file;
    // Read once before any plan, so that a file that is none is said once.
    if (imatrix.value) (await planModel(model, 'Q8_0', { imatrix: imatrix.value })).free();
  } catch (error) {
    imatrix.value = before;
    problem.value = sentence(error);
    return;
  }
  await planAll(model);
}

async function fetchFile(url: string, name: string): Promise<File> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`The sample could not be loaded: the server answered ${response.status}.`);
  return new File([await response.blob()], name);
}

/** Each preset once: `Q4_K` is another name of `Q4_K_M`, and the longer name says more. */
function distinct(): Preset[] {
  const all = presets();
  return all.filter(
    ({ name, ftype }) => !all.some((other) => other.ftype === ftype && other.name.length > name.length),
  );
}

async function choiceOf(model: Model, preset: Preset): Promise<Choice> {
  try {
    const plan = await planModel(model, preset.name, { imatrix: imatrix.value });
    return plan.missingImportance.length > 0
      ? { preset, plan, refusal: NEEDS_IMPORTANCE, lacksImportance: true }
      : { preset, plan };
  } catch (error) {
    return { preset, refusal: sentence(error) };
  }
}

/** Picks a preset; a result made with another one is no longer shown. */
export function choose(name: string): void {
  chosen.value = name;
  if (job.value.state !== 'running') job.value = { state: 'idle' };
}

/** `tiny-whale-f16.gguf` and `Q4_K_M` -> `tiny-whale-Q4_K_M.gguf`. */
export function outputName(fileName: string, preset: string): string {
  const stem = fileName.replace(/\.gguf$/i, '').replace(/[-._](f32|f16|bf16|fp16|fp32)$/i, '');
  return `${stem}-${preset}.gguf`;
}

/** Shrinks the open model with the chosen preset and keeps the result for saving. */
export async function shrink(): Promise<void> {
  const current = opened.value;
  const { size } = plan.value ?? {};
  if (!current || size === undefined || job.value.state === 'running') return;
  abort = new AbortController();
  const { signal: stop } = abort;
  job.value = { state: 'running' };
  const started = performance.now();
  try {
    const { target, finish } = await keep(outputName(current.fileName, chosen.value), size);
    await quantizeModel(current.model, target, chosen.value, {
      imatrix: imatrix.value,
      signal: stop,
      onProgress: (progress) => {
        if (!stop.aborted) job.value = { state: 'running', progress };
      },
    });
    const saved = await finish();
    job.value = { state: 'done', saved, seconds: (performance.now() - started) / 1000 };
  } catch (error) {
    job.value = stop.aborted ? { state: 'idle' } : { state: 'failed', message: sentence(error) };
  }
}

/** Stops the running job; nothing of it is kept. */
export function cancel(): void {
  abort?.abort();
}

/** An error as a sentence a person can act on. */
function sentence(error: unknown): string {
  if (error instanceof QuantpressError && error.code === 'NEEDS_IMPORTANCE') return NEEDS_IMPORTANCE;
  const message = error instanceof Error ? error.message : String(error);
  return message.charAt(0).toUpperCase() + message.slice(1) + (/[.!?]$/.test(message) ? '' : '.');
}
