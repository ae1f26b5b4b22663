/** The entry for browsers and bundlers: the engine lies beside this file. */

import { expectObject } from './check.js';
import { start, type InitOptions } from './wasm.js';

export * from './index.js';

/**
 * Loads the engine. Every other function needs it first; calling it again, even at the same time, costs nothing.
 *
 * @throws {@link QuantpressError} if the WebAssembly file is not there or is something else.
 */
export function init(options: InitOptions = {}): Promise<void> {
  expectObject('options', options);
  return start(() => options.wasm ?? new URL('./quantpress.wasm', import.meta.url));
}
