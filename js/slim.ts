/** The entry that knows no place for the engine: the caller supplies it, from a CDN, a bundler's import, a cache. */

import { start, type WasmInput } from './wasm.js';

export * from './index.js';

/**
 * Loads the engine from what the caller has: the module, its bytes, a `Response`, or the address of `quantpress.wasm`.
 *
 * @throws {@link QuantpressError} if it is not WebAssembly, or cannot be had.
 */
export function init(options: { wasm: WasmInput | Promise<WasmInput> }): Promise<void> {
  return start(() => options.wasm);
}
