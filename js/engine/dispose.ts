/// <reference lib="esnext.disposable" preserve="true" />

/** Giving the engine its memory back. */

import { call } from './wasm.js';

/** `Symbol.dispose`, which older browsers do not have: there a name that nothing else has. */
export const dispose: typeof Symbol.dispose = /* @__PURE__ */ symbolOf('dispose');

function symbolOf(name: 'dispose'): typeof Symbol.dispose {
  // One symbol for all copies of this package, and the one that polyfills and compilers fall back to.
  return Symbol[name] ?? (Symbol.for(`Symbol.${name}`) as typeof Symbol.dispose);
}

const released = /* @__PURE__ */ new WeakSet<object>();

/** Frees an object of the engine; the second time nothing happens. */
export function release(object: { free(): void }): void {
  if (released.has(object)) return;
  released.add(object);
  call(() => object.free());
}
