/** The conversion: one job at a time, kept when it is paused or the tab is closed. */

import { computed, effect, signal } from '@preact/signals';
import {
  BlobTarget,
  OpfsTarget,
  quantizeModel,
  type Progress,
  type Recipe,
  type Report,
  type TargetInput,
} from 'quantpress';
import { recipeQuery } from '../recipe/fragment.ts';
import { outputName } from '../recipe/names.ts';
import { folder, forget, hold, note, remove, room, sweep, unfinished, type Unfinished } from '../shrink/storage.ts';
import { bytes } from '../text.ts';
import { sentence } from '../ui/sentence.ts';
import { busy, holdModel, opened, type Opened } from './model.ts';
import { applied, imatrix, plan, refusal } from './recipe.ts';
import { worker } from './workers.ts';

/** `kept`: whether the finished part of a running job is kept when it stops, so that it can be paused. */
export type Job =
  | { readonly state: 'idle' }
  | { readonly state: 'running'; readonly name: string; readonly kept: boolean; readonly progress?: Progress }
  | { readonly state: 'failed'; readonly message: string };

/** A finished file. */
export interface Result {
  /** The model it was written from. */
  readonly of: Opened;
  readonly name: string;
  readonly recipe: Recipe;
  readonly file: Blob;
  readonly report: Report;
  /** The source for saving it; `undefined` if it was written directly to its file. */
  readonly url?: string;
}

export const job = signal<Job>({ state: 'idle' });
/** The last finished file. It stays until it is discarded or another job starts, whichever model is open. */
export const finished = signal<Result | undefined>(undefined);
/** The finished file of the open model. */
export const result = computed(() => (finished.value?.of === opened.value ? finished.value : undefined));
/** A finished file of a model that was open before: it is kept, for it may not be saved yet. */
export const earlier = computed(() => (result.value ? undefined : finished.value));
/** Interrupted jobs that can be resumed. */
export const interrupted = signal<readonly Unfinished[]>([]);

/** Whether a file can be written directly, without a copy in the browser's storage. */
export const canPick = 'showSaveFilePicker' in globalThis;

let abort = new AbortController();
let pausing = false;
let letGo: (() => void) | undefined;

void sweep();
effect(() => {
  if (job.value.state !== 'running') void unfinished().then((found) => (interrupted.value = found));
});

/** Shrinks the open model and keeps the result in the browser until it is saved; resumes an interrupted job. */
export async function shrink(): Promise<void> {
  await work(async (name, size) => {
    const place = await folder();
    if (!place) {
      const target = new BlobTarget();
      return { target, finished: async () => target.blob };
    }
    const free = await room();
    if (free !== undefined && free < size) {
      throw new Error(
        `The result has ${bytes(size)}, and the browser has room for ${bytes(free)}: ${canPick ? 'save it directly to a file, or free some space' : 'free some space, or choose a smaller preset'}`,
      );
    }
    await remove(name);
    const target = new OpfsTarget(place, name, await worker);
    return { target, kept: true, finished: async () => (await place.getFileHandle(name)).getFile() };
  });
}

/** Shrinks the open model into a file that the user selects. */
export async function shrinkInto(): Promise<void> {
  const name = outputName(opened.value?.fileName ?? '', applied.value);
  let handle: PickedFile;
  try {
    handle = await (globalThis as unknown as Picker).showSaveFilePicker({ suggestedName: name });
  } catch (error) {
    const chosenNone = error instanceof DOMException && error.name === 'AbortError';
    if (!chosenNone) job.value = { state: 'failed', message: sentence(error) };
    return;
  }
  await work(async () => ({ target: handle, picked: handle, finished: () => handle.getFile() }));
}

interface Picker {
  showSaveFilePicker(options: { suggestedName: string }): Promise<PickedFile>;
}

/** A new file exists, empty, once it is selected. Not every browser can remove it again. */
type PickedFile = FileSystemFileHandle & { remove?(): Promise<void> };

/** The target of the bytes, and the resulting file. */
interface Place {
  readonly target: TargetInput;
  /** Whether the finished part is kept when the job stops, to be resumed. */
  readonly kept?: boolean;
  /** The file that the user selected. */
  readonly picked?: PickedFile;
  finished(): Promise<Blob>;
}

async function work(prepare: (name: string, size: number) => Promise<Place>): Promise<void> {
  const [current, planned, which] = [opened.value, plan.value, applied.value];
  if (!current || !planned || refusal.value || busy.value) return;
  const name = outputName(current.fileName, which);
  abort = new AbortController();
  pausing = false;
  const letModelGo = holdModel();
  job.value = { state: 'running', name, kept: false };
  const awake = await stayAwake();
  let place: Place | undefined;
  try {
    if (finished.value) await discard(finished.value);
    place = await prepare(name, planned.size);
    const { target, kept = false, picked } = place;
    job.value = { state: 'running', name, kept };
    if (kept) note({ name, input: current.fileName, query: `${recipeQuery(which)}`, imatrix: imatrix.value?.name });
    const report = await quantizeModel(current.model, target, which, {
      imatrix: imatrix.value,
      resume: kept,
      hashes: true,
      workerUrl: await worker,
      signal: abort.signal,
      onProgress: (progress) => {
        if (!abort.signal.aborted) job.value = { state: 'running', name, kept, progress };
      },
    });
    const file = await place.finished();
    if (kept) forget(name);
    letGo = hold(name);
    const url = picked ? {} : { url: URL.createObjectURL(file) };
    finished.value = { of: current, name, recipe: which, file, report, ...url };
    job.value = { state: 'idle' };
  } catch (error) {
    if (abort.signal.aborted && !pausing && place?.target instanceof OpfsTarget) {
      await place.target.discard();
      forget(name);
    }
    await takeBack(place?.picked).catch(() => {});
    job.value = abort.signal.aborted ? { state: 'idle' } : { state: 'failed', message: sentence(error) };
  } finally {
    letModelGo();
    awake?.release().catch(() => {});
  }
}

/** Removes the selected file if it is empty. An existing file still has its old contents. */
async function takeBack(file: PickedFile | undefined): Promise<void> {
  if (file && (await file.getFile()).size === 0) await file.remove?.();
}

/** Cancels the running job and keeps nothing. */
export function cancel(): void {
  abort.abort(new Error('cancelled'));
}

/** Pauses the running job, which can be resumed later, even after the tab was closed. */
export function pause(): void {
  pausing = true;
  abort.abort(new Error('paused'));
}

/** Discards the partial result of an interrupted job. */
export async function throwAway({ name }: Unfinished): Promise<void> {
  const place = await folder();
  if (place) await new OpfsTarget(place, name).discard();
  forget(name);
  interrupted.value = await unfinished();
}

/** Discards a finished file. */
export async function discard({ name, url }: Result): Promise<void> {
  finished.value = undefined;
  if (url) URL.revokeObjectURL(url);
  letGo?.();
  if (url) await remove(name);
}

/** Keeps the computer from sleeping during a job. */
async function stayAwake(): Promise<{ release(): Promise<void> } | undefined> {
  return navigator.wakeLock?.request('screen').catch(() => undefined);
}
