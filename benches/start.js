#!/usr/bin/env node
/**
 * The cost of the package before it does anything: size of its modules, and time until the first `quantize`.
 *
 * `node benches/start.js` prints the results, `--record` writes them to `benches/results/start.md`. It measures dist/,
 * so run `npm run build` first. In Node each start is a separate process, compared with one that imports nothing; in
 * Chromium it is a separate page, from `import()` to the first result, over a local connection.
 */

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { brotliCompressSync } from 'node:zlib';
import { MODULES } from '../tools/lib/engine.js';
import { openPage } from './lib/chromium.js';
import { report, table } from './lib/record.js';

const ROUNDS = 9;
const WORK = `await quantpress.init();
  quantpress.quantize(new Float32Array(4096).fill(0.5), 'Q4_K');`;

const entry = new URL('../dist/node.js', import.meta.url).href;

/** @param {number[]} values */
const median = (values) => values.sort((a, b) => a - b)[values.length >> 1] ?? 0;

/** Milliseconds of a Node process that runs `script`. @param {string} script */
function inNode(script) {
  const from = performance.now();
  const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', script]);
  if (status !== 0) throw new Error(String(stderr));
  return performance.now() - from;
}

const node = [];
const bare = [];
for (let round = 0; round < ROUNDS; round += 1) {
  bare.push(inNode(''));
  node.push(inNode(`const quantpress = await import(${JSON.stringify(entry)}); ${WORK}`));
}

const browser = await openPage();
const chromium = [];
for (let round = 0; round < ROUNDS; round += 1) {
  await browser.page.reload();
  chromium.push(
    await browser.page.evaluate(`(async () => {
      const from = performance.now();
      const quantpress = await import('/dist/browser.js');
      ${WORK}
      return performance.now() - from;
    })()`),
  );
}
await browser.close();

const kB = (/** @type {number} */ bytes) => `${(bytes / 1000).toFixed(0)} kB`;
const ms = (/** @type {number} */ value) => `${value.toFixed(0)} ms`;
const rows = [
  ...MODULES.map(({ name, file }) => {
    const wasm = readFileSync(new URL(`../dist/${file}`, import.meta.url));
    return [`module ${name}, after brotli`, `${kB(wasm.length)}, ${kB(brotliCompressSync(wasm).length)}`];
  }),
  ['Node: to the first `quantize`, without the startup of Node', ms(median(node) - median(bare))],
  ['Node: startup alone', ms(median(bare))],
  ['Chromium: from `import()` to the first `quantize`', ms(median(chromium))],
];
report(
  'start',
  'Startup',
  `\`npm run bench start\` writes this file; Chromium ${browser.version}, median of ${ROUNDS}.`,
  table(['what', 'figure'], rows),
);
