/** The module with the converters, loaded when a safetensors model is first opened. */

import * as exports from './convert-bindings.js';
import { EngineModule, loadModule } from './wasm.js';

const convert = /* @__PURE__ */ new EngineModule(exports, 'quantpress-convert.wasm');

/** Loads the module if it is not loaded yet. */
export const loadConvert = (): Promise<void> => loadModule(convert, 'convert');

/** Calls the module, which has been loaded. */
export function callConvert<T>(use: (engine: typeof exports) => T): T {
  return convert.call(use);
}
