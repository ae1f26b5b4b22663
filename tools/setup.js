#!/usr/bin/env node
/** `npm run setup`: everything that building and testing need, so that both work without a network afterwards. */

import { testRunner, wasmBindgen } from './lib/bindgen.js';
import { chromedriver, chromium } from './lib/chromium.js';
import { firefox } from './lib/firefox.js';
import { ensurePackages } from './lib/packages.js';
import { wasmToolchain } from './lib/rust.js';
import { say, tool } from './lib/say.js';
import { webkitDriver } from './lib/webkit.js';

await tool(async () => {
  await ensurePackages();
  say(`Rust for WebAssembly: ${await wasmToolchain()}`);
  say(`wasm-bindgen: ${await wasmBindgen()}`);
  say(`its test runner: ${await testRunner()}`);
  say(`browser: ${await chromium()}, driver: ${await chromedriver()}`);
  say(`a second one: ${await firefox()}`);
  say(`a third: ${(await webkitDriver())?.args.at(-1) ?? 'WebKitGTK, which this system does not have'}`);
});
