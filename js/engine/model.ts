/** The module with whole models, loaded when one is first opened. */

import * as exports from './model-bindings.js';
import { EngineModule, loadModule } from './wasm.js';

const model = /* @__PURE__ */ new EngineModule(exports, 'quantpress-model.wasm');

/** Loads the module if it is not loaded yet. */
export const loadModelModule = (): Promise<void> => loadModule(model, 'model');

/** Calls the module, which has been loaded. */
export function callModel<T>(use: (engine: typeof exports) => T): T {
  return model.call(use);
}
