/** The engine's own tests compiled to WebAssembly, including SIMD lanes: in Node and in browsers. */

import { testRunner } from './bindgen.js';
import { at } from './run.js';
import { cargoWasm, TARGET } from './rust.js';
import { ownStep } from './steps.js';

/**
 * @param {string[]} engines the names of browser engines
 * @returns {import('./steps.js').Step[]}
 */
export const testInWasm = (engines) => [
  ownStep('Rust in WebAssembly, in Node', async () => run([await testRunner()])),
  ...engines.map((engine) =>
    ownStep(`Rust in WebAssembly, in ${engine}`, async () =>
      run([process.execPath, at('tools', 'run-in-engine.js'), engine, await testRunner()]),
    ),
  ),
];

/** @param {string[]} runner the program with which cargo runs the tests, and its arguments */
async function run(runner) {
  const config = `target.${TARGET}.runner=${JSON.stringify(runner)}`;
  await cargoWasm(['test', '--no-default-features', '--test', 'wasm_lanes', '--config', config]);
}
