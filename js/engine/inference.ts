/** The module that runs models, loaded when a model is first run. */

import * as exports from './inference-bindings.js';
import { EngineModule, loadModule } from './wasm.js';

const inference = /* @__PURE__ */ new EngineModule(exports, 'quantpress-inference.wasm');

/** Loads the module if it is not loaded yet. */
export const loadInference = (): Promise<void> => loadModule(inference, 'inference');

/** Calls the module, which has been loaded. */
export function callInference<T>(use: (engine: typeof exports) => T): T {
  return inference.call(use);
}
