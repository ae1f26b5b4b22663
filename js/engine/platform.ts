/** Detects the runtime of this thread. Only this file does. */

import type { getBuiltinModule } from 'node:process';

/**
 * A built-in module of Node (Deno and Bun have them too), or `undefined` in a browser.
 *
 * Not an `import`, because bundlers for browsers resolve those, even the ones that are never reached.
 */
export const builtin: typeof getBuiltinModule = ((name: string) =>
  globalThis.process?.getBuiltinModule?.(name)) as typeof getBuiltinModule;

/** The system's hash, which is several times as fast as WebAssembly's; browsers have none that accepts pieces. */
export function runtimeHash(name: string) {
  return builtin('node:crypto')?.createHash(name);
}

/** The number of threads that are worth using on this machine. */
export function cores(): number {
  return globalThis.navigator?.hardwareConcurrency ?? builtin('node:os')?.availableParallelism() ?? 1;
}

/** Lets timers, events and messages of this thread run, so that long work in it can be watched and stopped. */
export function breathe(): Promise<void> {
  return new Promise((resolve) => {
    if (typeof setImmediate === 'function') {
      setImmediate(resolve);
      return;
    }
    // Not setTimeout: browsers make nested ones wait four milliseconds.
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
