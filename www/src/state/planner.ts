/** Plans of the open model as plain data: computed in this thread, or in a worker if that would block it noticeably. */

import { planModel, QuantpressError, type FormatName, type Model, type ModelInput, type Recipe } from 'quantpress';
import { packed } from '../open/input.ts';
import type { Answer, Wanted } from './plan-worker.ts';
import scriptUrl from './plan-worker.ts?worker&url';
import {
  listedNames,
  type Names,
  orderedNames,
  type Outline,
  type Planned,
  PlannedTensors,
  type Treatment,
  weightsIn,
} from './tensors.ts';
import { engineFiles } from './engine.ts';
import { fromBlob } from './workers.ts';

/** The model to plan for, and its input. */
export interface Subject {
  readonly model: Model;
  readonly input: ModelInput;
}

/** With more tensors than this, a plan would block the page noticeably. */
export const MANY = 4000;
/** Also with more bytes than this of metadata and tokenizer, which every plan reads. */
const LARGE = 1 << 20;

/** Whether the worker plans for a model. */
export function isLarge({ tensors, headerBytes, files }: Model): boolean {
  let bytes = headerBytes;
  for (const { length } of files.values()) bytes += length;
  return tensors.length > MANY || bytes > LARGE;
}

/** Plans a recipe. */
export async function planned(subject: Subject, recipe: Recipe, imatrix: File | undefined): Promise<Planned> {
  latest = subject.input;
  if (isLarge(subject.model)) return byWorker(subject, recipe, imatrix);
  const made = await planModel(subject.model, recipe, { imatrix });
  const { size, tensors, missingImportance: missing } = made;
  made.free();
  return { size, tensors: PlannedTensors.of(tensors), missing };
}

/** Resolves when the requested outlines are done. */
let queue: Promise<unknown> = Promise.resolve();
/** The model of the last plan. */
let latest: ModelInput | undefined;

/** The tensors of the last model that the worker planned for, which its outlines share. */
let shared: { readonly of: ModelInput; readonly tensors: Promise<PlannedTensors> } | undefined;

/** Plans a preset without changes. */
export async function outlined(subject: Subject, recipe: Recipe, imatrix: File | undefined): Promise<Outline> {
  const { model, input } = subject;
  latest = input;
  if (!isLarge(model)) {
    const { size, missing, tensors } = await planned(subject, recipe, imatrix);
    const typeOf = (index: number): FormatName => tensors.treatment(index).to;
    return { size, missing, tensors, weights: weightsIn(tensors.treatments), typeOf };
  }
  if (shared?.of !== input) {
    const all = byWorker(subject, { ...recipe, preset: 'COPY' }, undefined);
    shared = { of: input, tensors: all.then(({ tensors }) => tensors) };
  }
  const { tensors: all } = shared;
  // One after the other, so that a recipe selected in the meantime waits for at most one of them.
  const reply = queue.then(async () => {
    if (latest !== input) throw new Error('Another model was opened.');
    return ask<Reply>(input, { recipe, imatrix, of: 'types' });
  });
  queue = reply.catch(() => {});
  const [tensors, { size, missing, weights, codes, types }] = await Promise.all([all, reply]);
  return { size, missing, tensors, weights, typeOf: (index) => types[codes[index] ?? 0] ?? 'F32' };
}

/**
 * Plans a recipe in the worker, only for the header of the file.
 *
 * @throws Why it is rejected.
 */
export async function headerOf(input: ModelInput, recipe: Recipe): Promise<HeaderReply> {
  return ask<HeaderReply>(input, { recipe, imatrix: undefined, of: 'header' });
}

async function byWorker({ model, input }: Subject, recipe: Recipe, imatrix: File | undefined): Promise<Planned> {
  const reply = await ask<Reply>(input, { recipe, imatrix, of: 'tensors' });
  const { size, missing, treatments, codes, order } = reply;
  const names = order ? namesIn(model, order) : listedNames(reply.names);
  return { size, missing, tensors: new PlannedTensors(names, treatments, codes) };
}

/** The names of the last plan: those of the next are the same list if they are in the same order. */
let known: { readonly model: Model; readonly order: Uint32Array; readonly names: Names } | undefined;

function namesIn(model: Model, order: Uint32Array): Names {
  const same = known?.model === model && known.order.every((index, at) => index === order[at]);
  if (!known || !same || known.order.length !== order.length)
    known = { model, order, names: orderedNames(model.tensors, order) };
  return known.names;
}

type Reply = Extract<Answer, { readonly codes: Uint32Array }> & {
  readonly treatments: readonly Treatment[];
  readonly names: readonly { readonly name: string; readonly sourceName: string }[];
};

type HeaderReply = Extract<Answer, { readonly header: Uint8Array }>;

let worker: Promise<Worker> | undefined;
let lastId = 0;
let serial = 0;
let of: ModelInput | undefined;

async function ask<R extends Reply | HeaderReply>(
  input: ModelInput,
  question: Pick<Wanted, 'recipe' | 'imatrix' | 'of'>,
): Promise<R> {
  worker ??= fromBlob(scriptUrl).then((url) => new Worker(url, { type: 'module' }));
  const thread = await worker;
  if (of !== input) serial += 1;
  of = input;
  const id = ++lastId;
  const files = engineFiles();
  const treatments: Treatment[] = [];
  const names: { readonly name: string; readonly sourceName: string }[] = [];
  return new Promise((resolve, reject) => {
    const heard = ({ data }: MessageEvent<Answer>): void => {
      if (data.id !== id) return;
      if ('treatments' in data) {
        for (const treatment of data.treatments) treatments.push(treatment);
        return;
      }
      if ('names' in data) {
        for (const name of data.names) names.push(name);
        return;
      }
      thread.removeEventListener('message', heard);
      if ('message' in data) reject(data.code ? new QuantpressError(data.code, data.message) : new Error(data.message));
      else resolve({ ...data, treatments, names } as unknown as R);
    };
    thread.addEventListener('message', heard);
    thread.addEventListener('error', () => reject(new Error('The planning worker could not be started.')), {
      once: true,
    });
    const wanted: Wanted = { id, files, input: packed(input), serial, ...question };
    thread.postMessage(wanted);
  });
}
