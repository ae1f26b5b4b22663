/** The entry without an engine: the caller supplies it, from a CDN, a bundler's import or a cache. */

import { wrongType } from './engine/check.js';
import { readOptions } from './engine/options.js';
import { INIT_OPTIONS, placeOf, start, type ModuleInputs, type WasmInput } from './engine/wasm.js';

export * from './index.js';

/**
 * Loads the engine from the caller's module, bytes, `Response`, or URL of `quantpress.wasm`. `modules` are those that are
 * loaded on first use; a function that needs a missing one throws an error with its name.
 *
 * @throws {@link QuantpressError} if it is not WebAssembly or cannot be loaded.
 */
export async function init(options: {
  wasm: WasmInput | Promise<WasmInput>;
  modules?: ModuleInputs | undefined;
}): Promise<void> {
  const { wasm, modules = {} } = readOptions('init', INIT_OPTIONS, options);
  if (wasm === undefined) throw wrongType('wasm', 'a module, its bytes, a Response or its URL', wasm);
  const { model, convert, inference, bench } = modules;
  return start(() => wasm, {
    model: placeOf(model),
    convert: placeOf(convert),
    inference: placeOf(inference),
    bench: placeOf(bench),
  });
}
