/** The entry that knows no place for the engine: the caller supplies it, from a CDN, a bundler's import, a cache. */

import { wrongType } from './engine/check.js';
import { readOptions } from './engine/options.js';
import { INIT_OPTIONS, start, type WasmInput } from './engine/wasm.js';

export * from './index.js';

/**
 * Loads the engine from what the caller has: the module, its bytes, a `Response`, or the address of `quantpress.wasm`.
 *
 * @throws {@link QuantpressError} if it is not WebAssembly, or cannot be had.
 */
export async function init(options: { wasm: WasmInput | Promise<WasmInput> }): Promise<void> {
  const { wasm } = readOptions('init', INIT_OPTIONS, options);
  if (wasm === undefined) throw wrongType('wasm', 'a module, its bytes, a Response or its URL', wasm);
  return start(() => wasm);
}
