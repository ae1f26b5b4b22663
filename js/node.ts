/** The entry for Node, Deno and Bun: the WebAssembly files are read from the folder of this one. */

import { readFile } from 'node:fs/promises';
import { isUrl } from './engine/cross-realm.js';
import { readOptions } from './engine/options.js';
import { INIT_OPTIONS, placeOf, start, type InitOptions, type WasmPlace } from './engine/wasm.js';

export * from './index.js';

/**
 * Loads the engine. Every other function needs it first; calling it again, even at the same time, costs nothing.
 *
 * @throws {@link QuantpressError} if the WebAssembly file is not there or is something else.
 */
export async function init(options: InitOptions = {}): Promise<void> {
  const { wasm, modules } = readOptions('init', INIT_OPTIONS, options);
  return start(
    reading(() => wasm ?? new URL('./quantpress.wasm', import.meta.url)),
    {
      model: reading(placeOf(modules?.model ?? (() => new URL('./quantpress-model.wasm', import.meta.url)))),
      convert: reading(placeOf(modules?.convert ?? (() => new URL('./quantpress-convert.wasm', import.meta.url)))),
      inference: reading(
        placeOf(modules?.inference ?? (() => new URL('./quantpress-inference.wasm', import.meta.url))),
      ),
      bench: reading(placeOf(modules?.bench ?? (() => new URL('./quantpress-bench.wasm', import.meta.url)))),
    },
  );
}

/** Files as bytes: `fetch` does not take them here. */
function reading(place: WasmPlace): WasmPlace {
  return async () => {
    const input = await place();
    const isFile = (isUrl(input) || typeof input === 'string') && String(input).startsWith('file:');
    return isFile ? readFile(new URL(input)) : input;
  };
}
