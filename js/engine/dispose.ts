/// <reference lib="esnext.disposable" preserve="true" />

/** Frees memory of the engine. */

import { call } from './wasm.js';

/** `Symbol.dispose`, or a unique symbol in older browsers, which do not have it. */
export const dispose: typeof Symbol.dispose = /* @__PURE__ */ symbolOf('dispose');

function symbolOf(name: 'dispose'): typeof Symbol.dispose {
  // One symbol for all copies of this package, which polyfills and compilers fall back to as well.
  return Symbol[name] ?? (Symbol.for(`Symbol.${name}`) as typeof Symbol.dispose);
}

const released = /* @__PURE__ */ new WeakSet<object>();

/** Frees an object of the engine, or of the module that `within` calls; the second time nothing happens. */
export function release(object: { free(): void }, within: (use: () => void) => void = call): void {
  if (released.has(object)) return;
  released.add(object);
  within(() => object.free());
}
