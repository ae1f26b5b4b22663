/** Requests the best mix for a size from a worker, which is kept for the next request. */

import type { Mix, TensorAnalysis } from 'quantpress';
import wasmUrl from '../../../dist/quantpress.wasm?url';
import scriptUrl from './mix-worker.ts?worker&url';
import type { Found, Wanted } from './mix-worker.ts';
import { packed } from '../open/input.ts';
import type { Opened } from './model.ts';
import { fromBlob } from './workers.ts';

let worker: Promise<Worker> | undefined;
let lastId = 0;
let serial = 0;
let of: Opened | undefined;

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
  if (of !== opened) serial += 1;
  of = opened;
  const id = ++lastId;
  const wasm = new URL(wasmUrl, location.href).href;
  const targetSize = Math.floor(size);
  const wanted: Wanted = {
    id,
    wasm,
    input: packed(opened.input),
    serial,
    analysis: { tensors },
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
