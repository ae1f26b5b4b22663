#!/usr/bin/env node
/**
 * Speed of every encoder and decoder on one thread in one run: this engine in WebAssembly in Node and in Chromium, this
 * engine as native code, native ggml, and a plain memory copy.
 *
 * `node benches/codecs.js [Q4_K ...]` prints ratios to native ggml; `--record` writes them to
 * `benches/results/codecs.md`. The module is `benches/codecs.rs` built for wasm32: the engine's own code, without the
 * copies of the JavaScript boundary. The native half is the same file built for this machine, which loads the prebuilt
 * reference library. Each format is measured in all of them before the next, so that a busy machine affects all of
 * them.
 */

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { instantiate, speeds } from './lib/engine.js';
import { openPage } from './lib/chromium.js';
import { figure, report, root, table, times, wanted } from './lib/record.js';

const ROW = 4096;
const COLUMNS = ['encode', 'weighted', 'decode'];

/** Builds the benchmark and returns the path of the result. @param {string[]} options */
function build(...options) {
  const args = ['build', '--release', '--bench', 'codecs', ...options, '--message-format=json-render-diagnostics'];
  const output = execFileSync('cargo', args, { cwd: root, maxBuffer: 1 << 28 }).toString();
  const messages = output
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const { filenames } = messages.findLast(({ target }) => target?.name === 'codecs');
  return filenames.find((/** @type {string} */ name) => name.endsWith('.wasm')) ?? filenames[0];
}

const native = build();
const built = build('--target', 'wasm32-unknown-unknown');
const module = new WebAssembly.Module(readFileSync(built));
const browser = await openPage();

/** Measures columns of a format in a page. @param {{ id: number, rows: number, columns: string[] }} format */
function inChromium(format) {
  return browser.page.evaluate(
    async ({ path, format, row }) => {
      const lib = await import(/** @type {string} */ ('/benches/lib/engine.js'));
      const module = await WebAssembly.compileStreaming(fetch(path));
      return lib.speeds(await lib.instantiate(module), format, row);
    },
    { path: `/${relative(root, built)}`, format, row: ROW },
  );
}

/** Milliseconds in which a fresh engine builds the tables of a format: its first run minus a later one. */
async function tables({ id, rows }) {
  const engine = await instantiate(module);
  engine.set_up(id, rows);
  const [first, second] = [0, 1].map(() => {
    const from = performance.now();
    engine.weighted();
    return performance.now() - from;
  });
  return Math.max(0, first - second);
}

const names = JSON.parse(execFileSync(native, ['--bench', '--names'], { cwd: root }).toString());
const rows = [];
const setUps = [];
for (const name of names.filter((/** @type {string} */ name) => wanted.length === 0 || wanted.includes(name))) {
  const line = JSON.parse(execFileSync(native, ['--bench', '--json', name], { cwd: root }).toString());
  const columns = COLUMNS.filter((column) => line[column]);
  const format = { id: line.id, rows: line.rows, columns: [...columns, 'copy'] };
  const node = await speeds(await instantiate(module), format, ROW);
  const chromium = await inChromium(format);
  const cells = COLUMNS.flatMap((column) => {
    if (!line[column]) return ['', '', '', ''];
    const [ours, theirs] = line[column];
    const at = columns.indexOf(column);
    return [figure(theirs), times(node[at] / theirs), times(chromium[at] / theirs), times(ours / theirs)];
  });
  const decode = node[columns.indexOf('decode')];
  rows.push([name, ...cells, decode === undefined ? '' : `${Math.round((100 * decode) / line.copy)}%`]);
  console.log(rows.at(-1).join('  '));
  if (/^IQ[123]/.test(name)) setUps.push([name, figure(await tables(line)), figure(line.tables)]);
}
await browser.close();

const head = COLUMNS.flatMap((name) => [`${name}: ggml`, 'Node', 'Chromium', 'crate']);
const body = [table(['format', ...head, 'decode / copy'], rows)];
if (setUps.length > 0) {
  const sum = (/** @type {number} */ at) => figure(setUps.reduce((total, row) => total + Number(row[at]), 0));
  body.push('## Time to build the tables of the IQ formats, milliseconds');
  body.push(table(['format', 'wasm in Node', 'native ggml'], [...setUps, ['total', sum(1), sum(2)]]));
}
report(
  'codecs',
  'Codecs, one thread',
  `\`npm run bench codecs\` writes this file; Chromium ${browser.version}.\n"ggml" is the speed of the prebuilt reference library in
million weights per second. The other columns are ratios to it (higher is faster): this engine in WebAssembly in Node and in
Chromium, and as a native crate built for the baseline of the machine's architecture. "weighted" is encoding with
importance. The last column is the speed of decoding in WebAssembly relative to copying the same number of floats natively.`,
  body.join('\n\n'),
);
