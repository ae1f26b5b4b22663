/** The entry for Node, Deno and Bun: the engine is read from the file next to this one. */

import { readFile } from 'node:fs/promises';
import { isUrl } from './engine/brands.js';
import { readOptions } from './engine/options.js';
import { INIT_OPTIONS, start, type InitOptions, type WasmInput } from './engine/wasm.js';

export * from './index.js';

/**
 * Loads the engine. Every other function needs it first; calling it again, even at the same time, costs nothing.
 *
 * @throws {@link QuantpressError} if the WebAssembly file is not there or is something else.
 */
export async function init(options: InitOptions = {}): Promise<void> {
  const { wasm } = readOptions('init', INIT_OPTIONS, options);
  return start(async () => read(await (wasm ?? new URL('./quantpress.wasm', import.meta.url))));
}

/** Files as bytes: `fetch` does not take them here. */
function read(input: WasmInput): WasmInput | Promise<WasmInput> {
  const isFile = (isUrl(input) || typeof input === 'string') && String(input).startsWith('file:');
  return isFile ? readFile(new URL(input)) : input;
}
