/** The engine's own tests, compiled to WebAssembly: in Node and in a browser, SIMD lanes among them. */

import { testRunner } from './bindgen.js';
import { chromedriver, FLAGS } from './chromium.js';
import { at } from './run.js';
import { cargoWasm } from './rust.js';
import { say, Stop } from './say.js';
import { mkdirSync, writeFileSync } from 'node:fs';

/**
 * @param {string} browser the path of Chromium
 * @returns {import('./steps.js').Step[]}
 */
export const testInWasm = (browser) => [
  { name: 'Rust in WebAssembly, in Node', run: () => run({}) },
  { name: 'Rust in WebAssembly, in Chromium', run: async () => run(await inBrowser(browser)) },
];

/** @param {Record<string, string>} env */
async function run(env) {
  try {
    const runner = { CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER: await testRunner() };
    // A busy machine is slow to start a browser.
    const patience = { WASM_BINDGEN_TEST_TIMEOUT: '300', WASM_BINDGEN_TEST_DRIVER_TIMEOUT: '60' };
    await cargoWasm(['test', '--test', 'wasm_*'], { ...runner, ...patience, ...env });
    return 0;
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
    say(error.message);
    return 1;
  }
}

/** @param {string} browser */
async function inBrowser(browser) {
  const driver = await chromedriver();
  const options = { binary: browser, args: ['--headless=new', ...FLAGS] };
  const file = at('.cache', 'webdriver.json');
  mkdirSync(at('.cache'), { recursive: true });
  writeFileSync(file, JSON.stringify({ 'goog:chromeOptions': options }));
  return { CHROMEDRIVER: driver, WASM_BINDGEN_USE_BROWSER: '1', WASM_BINDGEN_TEST_WEBDRIVER_JSON: file };
}
