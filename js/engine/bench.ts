/** The module with the accuracy benchmark, loaded when that is first run. */

import * as exports from './bench-bindings.js';
import { EngineModule, loadModule } from './wasm.js';

const bench = /* @__PURE__ */ new EngineModule(exports, 'quantpress-bench.wasm');

/** Loads the module if it is not loaded yet. */
export const loadBench = (): Promise<void> => loadModule(bench, 'bench');

/** Calls the module, which has been loaded. */
export function callBench<T>(use: (engine: typeof exports) => T): T {
  return bench.call(use);
}
