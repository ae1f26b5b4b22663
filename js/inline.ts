/**
 * The entry that contains the engine and its worker, for bundlers that do not follow `new URL(..., import.meta.url)`
 * and for single-file pages. It is a third larger and needs no second request, but a policy that allows
 * `wasm-unsafe-eval` and `worker-src blob:`.
 */

import { bench, convert, inference, main, model } from './inline-data.js';
import { worker } from './inline-worker.js';
import { carryWorker } from './pool/thread.js';
import { readOptions } from './engine/options.js';
import { start } from './engine/wasm.js';

export * from './index.js';

/** Loads the engine. Every other function needs it first; calling it again, even at the same time, costs nothing. */
export async function init(options: Record<string, never> = {}): Promise<void> {
  readOptions<object>('init', {}, options);
  carryWorker(worker);
  return start(decoded(main), {
    model: decoded(model),
    convert: decoded(convert),
    inference: decoded(inference),
    bench: decoded(bench),
  });
}

/** A module from its text in base64. */
const decoded = (text: string) => () => Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
