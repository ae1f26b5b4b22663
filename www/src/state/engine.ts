/** Where the engine's files are: a worker that is started from a `blob:` address has no folder to find them in. */

import type { InitOptions } from 'quantpress';
import convertUrl from '../../../dist/quantpress-convert.wasm?url';
import modelUrl from '../../../dist/quantpress-model.wasm?url';
import wasmUrl from '../../../dist/quantpress.wasm?url';

const address = (url: string): string => new URL(url, location.href).href;

/** What such a worker passes to `init`. */
export const engineFiles = (): InitOptions => ({
  wasm: address(wasmUrl),
  modules: { model: address(modelUrl), convert: address(convertUrl) },
});
