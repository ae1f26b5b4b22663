/**
 * The entry for CDNs and import maps: the build makes one file of it, with the worker in it. The WebAssembly files are in the
 * same folder.
 */

import { readOptions } from './engine/options.js';
import { INIT_OPTIONS, placeOf, start, type InitOptions } from './engine/wasm.js';
import { worker } from './inline-worker.js';
import { carryWorker } from './pool/thread.js';

export * from './index.js';

/**
 * Loads the engine. Every other function needs it first; calling it again, even at the same time, costs nothing.
 *
 * @throws {@link QuantpressError} if the WebAssembly file is not there or is something else.
 */
export async function init(options: InitOptions = {}): Promise<void> {
  const { wasm, modules } = readOptions('init', INIT_OPTIONS, options);
  // Not from a file: a page cannot start a worker from another origin.
  carryWorker(worker);
  return start(() => wasm ?? new URL('./quantpress.wasm', import.meta.url), {
    model: placeOf(modules?.model ?? (() => new URL('./quantpress-model.wasm', import.meta.url))),
    convert: placeOf(modules?.convert ?? (() => new URL('./quantpress-convert.wasm', import.meta.url))),
    inference: placeOf(modules?.inference ?? (() => new URL('./quantpress-inference.wasm', import.meta.url))),
    bench: placeOf(modules?.bench ?? (() => new URL('./quantpress-bench.wasm', import.meta.url))),
  });
}
