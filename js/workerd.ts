/** The entry for Cloudflare's workerd, which compiles WebAssembly only where it is imported. */

import module from './quantpress.wasm';
import { start } from './wasm.js';

export * from './index.js';

/** Loads the engine. Every other function needs it first; calling it again, even at the same time, costs nothing. */
export function init(): Promise<void> {
  return start(() => module);
}
