#!/usr/bin/env node
/**
 * Every encoder and decoder, one thread: this engine in WebAssembly and built for the machine, and native ggml, in one run.
 *
 * `node benches/codecs.js [Q4_K ...]` prints million weights per second and ratios to native ggml. The module is
 * `benches/codecs.rs` built for wasm32: the engine's own code, without the copies of the JavaScript boundary. The native
 * half is the same file built for this machine, which loads the prebuilt reference library. `--record` writes the table
 * to `benches/codecs.md`.
 */

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const ROW = 4096;
const COLUMNS = ['encode', 'weighted', 'decode'];

/** Builds the bench and answers the path of what was built. */
function build(...options) {
  const args = ['build', '--release', '--bench', 'codecs', ...options, '--message-format=json-render-diagnostics'];
  const output = execFileSync('cargo', args, { cwd: root, maxBuffer: 1 << 28 }).toString();
  const messages = output
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const { filenames } = messages.findLast(({ target }) => target?.name === 'codecs');
  return filenames.find((name) => name.endsWith('.wasm')) ?? filenames[0];
}

/** The engine as a bare module. What it imports from the JavaScript side of the package is never called here. */
function instantiate(file) {
  const module = new WebAssembly.Module(readFileSync(file));
  const imports = {};
  for (const { module: from, name } of WebAssembly.Module.imports(module)) {
    imports[from] = { ...imports[from], [name]: () => 0 };
  }
  return new WebAssembly.Instance(module, imports).exports;
}

/** Million weights per second in the shortest of many runs. */
function measure(run, weights) {
  let best = Infinity;
  const start = performance.now();
  for (let rounds = 0; rounds < 5 || performance.now() - start < 300; rounds += 1) {
    const from = performance.now();
    run();
    best = Math.min(best, performance.now() - from);
  }
  return weights / 1e3 / best;
}

const wanted = process.argv.slice(2).filter((arg) => !arg.startsWith('-'));
const native = build();
const engine = instantiate(build('--target', 'wasm32-unknown-unknown'));

/** `{ name, id, rows, encode: [ours, ggml]?, weighted?, decode? }` of one line of the native half. */
function nativeRows() {
  const output = execFileSync(native, ['--bench', '--json', ...wanted], { cwd: root }).toString();
  return output
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

const lines = [
  `| format | ${COLUMNS.map((name) => `${name}: wasm | native | ggml | wasm / ggml`).join(' | ')} |`,
  `|---|${'---:|'.repeat(COLUMNS.length * 4)}`,
];
for (const row of nativeRows()) {
  engine.set_up(row.id, row.rows);
  engine.encode_weighted();
  const run = { encode: engine.encode, weighted: engine.encode_weighted, decode: engine.decode };
  const cells = COLUMNS.flatMap((column) => {
    if (!row[column]) return ['', '', '', ''];
    const [ours, theirs] = row[column];
    const wasm = measure(run[column], row.rows * ROW);
    const figure = (value) => value.toFixed(value < 100 ? 1 : 0);
    return [figure(wasm), figure(ours), figure(theirs), `**${(wasm / theirs).toFixed(2)}**`];
  });
  lines.push(`| ${[row.name, ...cells].join(' | ')} |`);
}
const table = lines.join('\n');
console.log(table);

if (process.argv.includes('--record')) {
  const machine = `${cpus()[0]?.model ?? 'unknown'}, Node ${process.version}, ${new Date().toISOString().slice(0, 10)}`;
  writeFileSync(
    new URL('codecs.md', import.meta.url),
    `# Codecs, million weights per second, one thread\n\n${machine}. \`node benches/codecs.js --record\` writes this file.\n` +
      `"weighted" is encoding under importance; "ggml" is the prebuilt reference library; "native" is this crate built for\n` +
      `the baseline of the machine's architecture.\n\n${table}\n`,
  );
}
