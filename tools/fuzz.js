#!/usr/bin/env node
/**
 * `npm run fuzz -- TARGET [RUNS]`: one of fuzz/'s targets, until RUNS executions are done or something is found. What
 * JavaScript parses runs in Node, on mutations; what the engine parses in libFuzzer, which follows what is covered.
 *
 * libFuzzer goes with the stable compiler: the counters of covered edges are LLVM's own, and memory is watched by the
 * targets' allocator instead of a sanitizer (the engine has no unsafe code that one would have to watch).
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
 * What is wrong with a parser is wrong in small files too. The largest block has 292 bytes: two of them are enough; a
 * tokenizer of the few tokens that every one has is larger.
 * @type {Record<string, number>}
 */
const LONGEST = { dequantize: 640, language: 16384 };

await tool(async () => {
  const [target = '', runs = '10000000'] = process.argv.slice(2);
  const targets = readdirSync(at('fuzz', 'corpus'));
  if (!targets.includes(target)) throw new Stop(`which target? ${targets.join(', ')}`);
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
      say(`${target}: ${done + part} executions, ${perSecond} a second, ${memory} MB`);
    }
  } catch (error) {
    if (!(error instanceof Finding)) throw error;
    const file = at('fuzz', 'artifacts', `${target}-${Date.now()}`);
    writeFileSync(file, error.bytes);
    throw new Stop(`${error.message}; the bytes are in ${file}, and belong in fuzz/findings/${target}`);
  }
}

/** @param {string} target @param {string} runs */
async function inLibFuzzer(target, runs) {
  const host = /host: (.*)/.exec(output('rustc', ['-vV']) ?? '')?.[1] ?? '';
  // A named target: the flags are for what is fuzzed, not for the build scripts.
  const build = ['build', '--release', '--locked', '--quiet', '--bin', target, '--target', host];
  const env = { RUSTFLAGS: [...FLAGS, '--cfg', 'fuzzing'].join(' '), CARGO_TARGET_DIR: at('fuzz', 'target') };
  await run('cargo', build, { cwd: at('fuzz'), env });
  const work = at('fuzz', 'work', target);
  mkdirSync(work, { recursive: true });
  const known = [at('fuzz', 'corpus', target), at('fuzz', 'findings', target)].filter((folder) => existsSync(folder));
  for (const folder of known) cpSync(folder, work, { recursive: true });
  say(
    `${target}: ${runs} executions; what is found wrong goes to fuzz/artifacts, and belongs in fuzz/findings/${target}`,
  );
  const limits = [`-max_len=${LONGEST[target] ?? 4096}`, '-timeout=10', '-rss_limit_mb=2048', '-print_final_stats=1'];
  const artifacts = `-artifact_prefix=${at('fuzz', 'artifacts', `${target}-`)}`;
  await run(at('fuzz', 'target', host, 'release', target), [...limits, artifacts, `-runs=${runs}`, work]);
}
