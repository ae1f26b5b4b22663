/** The entry for Cloudflare's workerd, which compiles WebAssembly only where it is imported. */

import bench from './quantpress-bench.wasm';
import convert from './quantpress-convert.wasm';
import inference from './quantpress-inference.wasm';
import model from './quantpress-model.wasm';
import module from './quantpress.wasm';
import { readOptions } from './engine/options.js';
import { start } from './engine/wasm.js';

export * from './index.js';

/** Loads the engine. Every other function needs it first; calling it again, even at the same time, costs nothing. */
export async function init(options: Record<string, never> = {}): Promise<void> {
  readOptions<object>('init', {}, options);
  return start(() => module, {
    model: () => model,
    convert: () => convert,
    inference: () => inference,
    bench: () => bench,
  });
}
