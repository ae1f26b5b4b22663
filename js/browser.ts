/** The entry for browsers and bundlers: the WebAssembly files are in the same folder. */

import { readOptions } from './engine/options.js';
import { INIT_OPTIONS, placeOf, start, type InitOptions } from './engine/wasm.js';

export * from './index.js';

/**
 * Loads the engine. Every other function needs it first; calling it again, even at the same time, costs nothing.
 *
 * @throws {@link QuantpressError} if the WebAssembly file is not there or is something else.
 */
export async function init(options: InitOptions = {}): Promise<void> {
  const { wasm, modules } = readOptions('init', INIT_OPTIONS, options);
  return start(() => wasm ?? new URL('./quantpress.wasm', import.meta.url), {
    model: placeOf(modules?.model ?? (() => new URL('./quantpress-model.wasm', import.meta.url))),
    convert: placeOf(modules?.convert ?? (() => new URL('./quantpress-convert.wasm', import.meta.url))),
    inference: placeOf(modules?.inference ?? (() => new URL('./quantpress-inference.wasm', import.meta.url))),
    bench: placeOf(modules?.bench ?? (() => new URL('./quantpress-bench.wasm', import.meta.url))),
  });
}
