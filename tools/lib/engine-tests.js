/** The engine's own tests compiled to WebAssembly, including SIMD lanes: in Node and in browsers. */

import { testRunner } from './bindgen.js';
import { at } from './run.js';
import { cargoWasm, TARGET } from './rust.js';
import { say, Stop } from './say.js';

/**
 * @param {string[]} engines the names of browser engines
 * @returns {import('./steps.js').Step[]}
 */
export const testInWasm = (engines) => [
  { name: 'Rust in WebAssembly, in Node', run: () => run(async () => [await testRunner()]) },
  ...engines.map((engine) => ({ name: `Rust in WebAssembly, in ${engine}`, run: () => run(() => inBrowser(engine)) })),
];

/** @param {string} engine */
async function inBrowser(engine) {
  return [process.execPath, at('tools', 'run-in-engine.js'), engine, await testRunner()];
}

/** @param {() => Promise<string[]>} runner the program with which cargo runs the tests, and its arguments */
async function run(runner) {
  try {
    const config = `target.${TARGET}.runner=${JSON.stringify(await runner())}`;
    await cargoWasm(['test', '--test', 'wasm_*', '--config', config]);
    return 0;
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
    say(error.message);
    return 1;
  }
}
