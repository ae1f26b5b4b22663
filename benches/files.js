#!/usr/bin/env node
/**
 * Whole files, with the same number of threads: this package in Node compared with llama.cpp's own
 * `llama_model_quantize`.
 *
 * `node benches/files.js [Q4_K_M ...]` creates an F16 model of 0.8 GB of gaussian weights, converts it with both in
 * turn, each in its own process, and prints wall time and peak memory; `--record` writes them to
 * `benches/results/files.md`. The two files must be identical. It measures dist/, so run `npm run build` first.
 *
 * Peak memory is the resident set of the whole process, as counted by the system, minus that of a process that has
 * loaded the same libraries and done nothing: Node itself, and the mapped library.
 */

import { fork, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pipeline } from 'node:stream/promises';
import * as quantpress from '../dist/node.js';
import { writeModel } from './lib/model.js';
import { report, table, times, wanted } from './lib/record.js';

const PRESETS = { Q8_0: 7, Q4_0: 2, Q6_K: 18, Q4_K_M: 15, IQ4_XS: 30 };
const THREADS = [1, 2];
const LAYERS = 4;

const folder = mkdtempSync(join(tmpdir(), 'quantpress-bench-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const input = join(folder, 'model.gguf');

/** Runs `script` in a process of its own; seconds of the work alone, and the peak of its memory in MB. @param {string} script */
function child(script) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stderr);
  return /** @type {{ seconds: number, memory: number }} */ (JSON.parse(stdout));
}

const MEASURED = `
  import { readFileSync } from 'node:fs';
  const peak = () => Number(/VmHWM:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) / 1024;
  const tell = (seconds) => console.log(JSON.stringify({ seconds, memory: peak() }));
`;

/** @param {string} output @param {string} preset @param {number} threads @param {{ idle?: boolean, report?: boolean }} [options] */
function ours(output, preset, threads, { idle = false, report = false } = {}) {
  const entry = new URL('../dist/node.js', import.meta.url).href;
  return child(`${MEASURED}
    import { init, openModel, quantizeModel } from ${JSON.stringify(entry)};
    await init();
    const from = performance.now();
    if (!${idle}) {
      const model = await openModel(${JSON.stringify(input)});
      await quantizeModel(model, ${JSON.stringify(output)}, '${preset}', { workers: ${threads}, report: ${report} });
      await model.close();
    }
    tell((performance.now() - from) / 1000);
  `);
}

/** @param {string} output @param {number} ftype @param {number} threads @param {boolean} [idle] */
async function theirs(output, ftype, threads, idle = false) {
  const script = fileURLToPath(new URL('../tests/oracle/llama_quantize.js', import.meta.url));
  const worker = fork(script, [], { serialization: 'advanced', stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  // The process may be gone when it has ended, so its peak is read while it runs.
  let memory = 0;
  const watch = setInterval(() => {
    memory = Math.max(memory, peakOf(worker.pid));
  }, 5);
  const ended = new Promise((resolve) => worker.once('close', resolve));
  if (idle) {
    await new Promise((resolve) => setTimeout(resolve, 1500));
    clearInterval(watch);
    worker.kill();
    await ended;
    return { seconds: 0, memory };
  }
  const from = performance.now();
  worker.send({ input, output, ftype, threads });
  const code = await ended;
  clearInterval(watch);
  if (code !== 0) throw new Error('llama_model_quantize failed');
  return { seconds: (performance.now() - from) / 1000, memory };
}

/** @param {number | undefined} pid */
function peakOf(pid) {
  try {
    return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}

/** @param {string} path */
async function sha256(path) {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

await quantpress.init();
writeModel(input, LAYERS);

const idle = { ours: ours('', '', 1, { idle: true }).memory, theirs: (await theirs('', 0, 1, true)).memory };
const rows = [];
for (const [preset, ftype] of Object.entries(PRESETS)) {
  if (wanted.length > 0 && !wanted.includes(preset)) continue;
  for (const threads of THREADS) {
    const [a, b] = [join(folder, 'ours.gguf'), join(folder, 'theirs.gguf')];
    const mine = [ours(a, preset, threads)];
    const llama = [await theirs(b, ftype, threads)];
    // Slow ones are accurate enough the first time.
    if ((mine[0]?.seconds ?? 0) < 10) {
      mine.push(ours(a, preset, threads));
      llama.push(await theirs(b, ftype, threads));
    }
    const measured = mine.map(() => ours(a, preset, threads, { report: true }));
    if ((await sha256(a)) !== (await sha256(b))) throw new Error(`${preset}: the files differ`);
    const best = (/** @type {typeof mine} */ runs) => Math.min(...runs.map(({ seconds }) => seconds));
    const peak = (/** @type {typeof mine} */ runs) => Math.max(...runs.map(({ memory }) => memory));
    const memory = [peak(mine) - idle.ours, peak(llama) - idle.theirs];
    const seconds = [best(mine), best(llama)];
    rows.push([
      preset,
      String(threads),
      ...seconds.map((value) => value.toFixed(1)),
      times(seconds[1] / seconds[0]),
      (best(measured) / seconds[0]).toFixed(2),
      ...memory.map((value) => value.toFixed(0)),
      times(memory[0] / memory[1]),
    ]);
    console.log(rows.at(-1)?.join('  '));
  }
}

const head = [
  'preset',
  'threads',
  'ours, s',
  'llama.cpp, s',
  'times as fast',
  'with report',
  'ours, MB',
  'llama.cpp, MB',
  'share',
];
report(
  'files',
  'Whole files',
  `\`npm run bench files\` writes this file. It converts an F16 model of
${statSync(input).size} bytes, from file to file, with this package in Node and with
\`llama_model_quantize\` of the prebuilt library, and compares the two files. Memory is the peak of the process minus that of a
process that has loaded everything and done nothing (${idle.ours.toFixed(0)} and ${idle.theirs.toFixed(0)} MB). llama.cpp
maps its input; resident mapped pages are included. "with report" is our time with the weight error of each tensor measured in
the same pass, as a ratio to the time without.`,
  table(head, rows),
);
