#!/usr/bin/env node
/** `npm run setup`: installs everything needed for building and testing, so that both work offline afterwards. */

import { testRunner, wasmBindgen } from './lib/bindgen.js';
import { availableEngines } from './lib/engines.js';
import { ensurePackages } from './lib/packages.js';
import { wasmToolchain } from './lib/rust.js';
import { say, tool } from './lib/say.js';

await tool(async () => {
  await ensurePackages();
  say(`Rust for WebAssembly: ${await wasmToolchain()}`);
  say(`wasm-bindgen: ${await wasmBindgen()}`);
  say(`its test runner: ${await testRunner()}`);
  say(`browsers: ${(await availableEngines()).join(', ')}`);
});
