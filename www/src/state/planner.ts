/** Plans of the open model as plain data: made on the spot, or by a worker if the model has very many tensors. */

import { planModel, type FormatName, type PlannedTensor, type Recipe } from 'quantpress';
import wasmUrl from '../../../dist/quantpress.wasm?url';
import { packed } from '../open/input.ts';
import type { Opened } from './model.ts';
import type { Answer, Wanted } from './plan-worker.ts';
import scriptUrl from './plan-worker.ts?worker&url';
import { fromBlob } from './workers.ts';

/** What a recipe makes of the open model, without the engine's memory behind it. */
export interface Planned {
  readonly size: number;
  readonly tensors: readonly PlannedTensor[];
  /** Names of tensors that lack the importance vector their type demands; not all of very many. */
  readonly missing: readonly string[];
}

/** A plan of which only the types are kept: `tensors` is another plan's. */
export interface Outline {
  readonly size: number;
  readonly missing: readonly string[];
  /** The tensors, the same in every plan of a preset as it is, but for their type. */
  readonly tensors: readonly PlannedTensor[];
  /** The type that this plan gives each of them. */
  typeOf(index: number): FormatName;
}

/** With more tensors than this a plan on the spot would be noticed. */
export const MANY = 4000;

/** Plans a recipe. */
export async function planned(opened: Opened, recipe: Recipe, imatrix: File | undefined): Promise<Planned> {
  latest = opened;
  if (opened.model.tensors.length > MANY) return byWorker(opened, recipe, imatrix);
  const made = await planModel(opened.model, recipe, { imatrix });
  const { size, tensors, missingImportance: missing } = made;
  made.free();
  return { size, tensors, missing };
}

/** The end of the outlines that were asked for. */
let queue: Promise<unknown> = Promise.resolve();
/** The model that was planned for last. */
let latest: Opened | undefined;

/** The tensors of the last model that a worker planned for, which its outlines share. */
let shared: { readonly of: Opened; readonly tensors: Promise<readonly PlannedTensor[]> } | undefined;

/** Plans a preset as it is. */
export async function outlined(opened: Opened, recipe: Recipe, imatrix: File | undefined): Promise<Outline> {
  if (opened.model.tensors.length <= MANY) {
    const { size, missing, tensors } = await planned(opened, recipe, imatrix);
    return { size, missing, tensors, typeOf: (index) => tensors[index]?.to ?? 'F32' };
  }
  latest = opened;
  if (shared?.of !== opened) {
    const all = byWorker(opened, { ...recipe, preset: 'COPY' }, undefined);
    shared = { of: opened, tensors: all.then(({ tensors }) => tensors) };
  }
  const { tensors: all } = shared;
  // One after the other, so that a recipe that is chosen meanwhile waits for one of them at most.
  const reply = queue.then(async () => {
    if (latest !== opened) throw new Error('Another model was opened.');
    return ask(opened, { recipe, imatrix, typesOnly: true });
  });
  queue = reply.catch(() => {});
  const [tensors, { size, missing, codes, types }] = await Promise.all([all, reply]);
  return { size, missing, tensors, typeOf: (index) => types[codes?.[index] ?? 0] ?? 'F32' };
}

async function byWorker(opened: Opened, recipe: Recipe, imatrix: File | undefined): Promise<Planned> {
  const { size, missing, tensors } = await ask(opened, { recipe, imatrix, typesOnly: false });
  return { size, missing, tensors };
}

interface Reply {
  readonly size: number;
  readonly missing: readonly string[];
  readonly tensors: readonly PlannedTensor[];
  readonly codes: Uint8Array | undefined;
  readonly types: readonly FormatName[];
}

let worker: Promise<Worker> | undefined;
let lastId = 0;
let serial = 0;
let of: Opened | undefined;

async function ask(opened: Opened, question: Pick<Wanted, 'recipe' | 'imatrix' | 'typesOnly'>): Promise<Reply> {
  worker ??= fromBlob(scriptUrl).then((url) => new Worker(url, { type: 'module' }));
  const thread = await worker;
  if (of !== opened) serial += 1;
  of = opened;
  const id = ++lastId;
  const wasm = new URL(wasmUrl, location.href).href;
  const tensors: PlannedTensor[] = [];
  return new Promise((resolve, reject) => {
    const heard = ({ data }: MessageEvent<Answer>): void => {
      if (data.id !== id) return;
      if ('tensors' in data) {
        for (const tensor of data.tensors) tensors.push(tensor);
        return;
      }
      thread.removeEventListener('message', heard);
      if ('message' in data) reject(new Error(data.message));
      else resolve({ ...data, tensors });
    };
    thread.addEventListener('message', heard);
    thread.addEventListener('error', () => reject(new Error('The worker that plans could not be started.')), {
      once: true,
    });
    const wanted: Wanted = { id, wasm, input: packed(opened.input), serial, ...question };
    thread.postMessage(wanted);
  });
}
