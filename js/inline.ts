/**
 * The entry that carries the engine in itself, for bundlers that do not follow `new URL(..., import.meta.url)` and for pages
 * of one file. A third larger; it needs no second request, but a policy that allows `wasm-unsafe-eval`.
 */

import { wasm } from './inline-data.js';
import { start } from './wasm.js';

export * from './index.js';

/** Loads the engine. Every other function needs it first; calling it again, even at the same time, costs nothing. */
export function init(): Promise<void> {
  return start(() => Uint8Array.from(atob(wasm), (char) => char.charCodeAt(0)));
}
