/** Requests the best mix for a size from a worker, which is kept for the next request. */

import type { Mix, TensorAnalysis } from 'quantpress';
import scriptUrl from './mix-worker.ts?worker&url';
import type { Figures, Found, Wanted } from './mix-worker.ts';
import { packed } from '../open/input.ts';
import { inTurns, type Pieces } from './derived.ts';
import type { Opened } from './model.ts';
import { engineFiles } from './engine.ts';
import { fromBlob } from './workers.ts';

let worker: Promise<Worker> | undefined;
let lastId = 0;
let serial = 0;
let of: Opened | undefined;

/** Tensors in one message: each has the figures of two dozen formats. */
const PIECE = 128;

/**
 * Finds the mix of types with the least error within a number of bytes.
 *
 * @throws If there is none, with a message for the user.
 */
export async function findMix(
  opened: Opened,
  tensors: TensorAnalysis[],
  size: number,
  options: Pick<Wanted, 'imatrix' | 'recipe'>,
): Promise<Mix> {
  worker ??= fromBlob(scriptUrl).then((url) => new Worker(url, { type: 'module' }));
  const thread = await worker;
  const id = ++lastId;
  await inTurns(sent(thread, id, tensors));
  if (of !== opened) serial += 1;
  of = opened;
  const files = engineFiles();
  const targetSize = Math.floor(size);
  const wanted: Wanted = {
    id,
    files,
    input: packed(opened.input),
    serial,
    targetSize,
    ...options,
  };
  return new Promise((resolve, reject) => {
    const answered = ({ data }: MessageEvent<Found>): void => {
      if (data.id !== id) return;
      thread.removeEventListener('message', answered);
      if ('mix' in data) resolve(data.mix);
      else reject(new Error(data.message));
    };
    thread.addEventListener('message', answered);
    thread.addEventListener(
      'error',
      () => reject(new Error('the worker that searches for the mix could not be started')),
      {
        once: true,
      },
    );
    thread.postMessage(wanted);
  });
}

function* sent(thread: Worker, id: number, tensors: readonly TensorAnalysis[]): Pieces<void> {
  for (let at = 0; at < tensors.length; at += PIECE) {
    const figures: Figures = { id, tensors: tensors.slice(at, at + PIECE) };
    thread.postMessage(figures);
    yield;
  }
}
