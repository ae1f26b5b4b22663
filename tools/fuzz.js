#!/usr/bin/env node
/**
 * `npm run fuzz -- TARGET [RUNS]`: runs one of the targets in fuzz/ until RUNS executions are done or a failure is
 * found. Parsers in JavaScript run in Node on mutations; those of the engine run in libFuzzer, which is guided by
 * coverage.
 *
 * libFuzzer works with the stable compiler: coverage counters are LLVM's own, and memory is limited by the targets'
 * allocator instead of a sanitizer (the engine has no unsafe code that would need one).
 */

import { cpSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { buildEngine } from './lib/engine.js';
import { buildJavaScript } from './lib/javascript.js';
import { ensurePackages } from './lib/packages.js';
import { at, output, run } from './lib/run.js';
import { say, Stop, tool } from './lib/say.js';

const COVERAGE = ['level=4', 'inline-8bit-counters', 'pc-table', 'trace-compares'];
const FLAGS = ['-Cpasses=sancov-module', ...COVERAGE.map((what) => `-Cllvm-args=-sanitizer-coverage-${what}`)];

/**
 * Bugs in parsers also show in small files. The largest block has 292 bytes, so two of them are enough; a tokenizer
 * with the minimal number of tokens is larger.
 * @type {Record<string, number>}
 */
const LONGEST = { dequantize: 640, language: 16384 };

await tool(async () => {
  const [target = '', runs = '10000000'] = process.argv.slice(2);
  const targets = readdirSync(at('fuzz', 'corpus'));
  if (!targets.includes(target)) throw new Stop(`unknown target; the targets are ${targets.join(', ')}`);
  mkdirSync(at('fuzz', 'artifacts'), { recursive: true });
  if (existsSync(at('fuzz', 'fuzz_targets', `${target}.rs`))) await inLibFuzzer(target, runs);
  else await inNode(target, Number(runs));
});

/** @param {string} target @param {number} runs */
async function inNode(target, runs) {
  await ensurePackages();
  await buildEngine('release');
  await buildJavaScript();
  const { Finding, fuzz } = await import('../fuzz/javascript.js');
  const seed = Math.floor(Math.random() * 2 ** 32);
  say(`${target}: ${runs} executions, seed ${seed}`);
  try {
    for (let done = 0; done < runs; done += 1e6) {
      const part = Math.min(1e6, runs - done);
      const started = Date.now();
      fuzz(target, part, seed + done);
      const perSecond = Math.round(part / ((Date.now() - started) / 1000));
      const memory = Math.round(process.memoryUsage.rss() / 1e6);
      say(`${target}: ${done + part} executions, ${perSecond} per second, ${memory} MB`);
    }
  } catch (error) {
    if (!(error instanceof Finding)) throw error;
    const file = at('fuzz', 'artifacts', `${target}-${Date.now()}`);
    writeFileSync(file, error.bytes);
    throw new Stop(`${error.message}; the bytes are in ${file}; add them to fuzz/findings/${target}`);
  }
}

/** @param {string} target @param {string} runs */
async function inLibFuzzer(target, runs) {
  const host = /host: (.*)/.exec(output('rustc', ['-vV']) ?? '')?.[1] ?? '';
  // A named target: the flags apply to the fuzzed code, not to build scripts.
  const build = ['build', '--release', '--locked', '--quiet', '--bin', target, '--target', host];
  const env = { RUSTFLAGS: [...FLAGS, '--cfg', 'fuzzing'].join(' '), CARGO_TARGET_DIR: at('fuzz', 'target') };
  await run('cargo', build, { cwd: at('fuzz'), env });
  const work = at('fuzz', 'work', target);
  mkdirSync(work, { recursive: true });
  const known = [at('fuzz', 'corpus', target), at('fuzz', 'findings', target)].filter((folder) => existsSync(folder));
  for (const folder of known) cpSync(folder, work, { recursive: true });
  say(`${target}: ${runs} executions; failures are written to fuzz/artifacts; add them to fuzz/findings/${target}`);
  const limits = [`-max_len=${LONGEST[target] ?? 4096}`, '-timeout=10', '-rss_limit_mb=2048', '-print_final_stats=1'];
  const artifacts = `-artifact_prefix=${at('fuzz', 'artifacts', `${target}-`)}`;
  await run(at('fuzz', 'target', host, 'release', target), [...limits, artifacts, `-runs=${runs}`, work]);
}
