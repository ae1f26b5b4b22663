/** The entry without an engine: the caller supplies it, from a CDN, a bundler's import or a cache. */

import { wrongType } from './engine/check.js';
import { readOptions } from './engine/options.js';
import { INIT_OPTIONS, start, type WasmInput } from './engine/wasm.js';

export * from './index.js';

/**
 * Loads the engine from the caller's module, bytes, `Response`, or URL of `quantpress.wasm`.
 *
 * @throws {@link QuantpressError} if it is not WebAssembly or cannot be loaded.
 */
export async function init(options: { wasm: WasmInput | Promise<WasmInput> }): Promise<void> {
  const { wasm } = readOptions('init', INIT_OPTIONS, options);
  if (wasm === undefined) throw wrongType('wasm', 'a module, its bytes, a Response or its URL', wasm);
  return start(() => wasm);
}
