#!/usr/bin/env node
/**
 * `npm run fuzz -- TARGET [RUNS]`: one of fuzz/'s targets in libFuzzer, until RUNS executions are done or something is found.
 *
 * With the stable compiler: the counters of covered edges are LLVM's own, and memory is watched by the targets' allocator
 * instead of a sanitizer (the engine has no unsafe code that one would have to watch).
 */

import { cpSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { at, output, run } from './lib/run.js';
import { say, Stop, tool } from './lib/say.js';

const COVERAGE = ['level=4', 'inline-8bit-counters', 'pc-table', 'trace-compares'];
const FLAGS = ['-Cpasses=sancov-module', ...COVERAGE.map((what) => `-Cllvm-args=-sanitizer-coverage-${what}`)];

await tool(async () => {
  const [target = '', runs = '10000000'] = process.argv.slice(2);
  const targets = readdirSync(at('fuzz', 'corpus'));
  if (!targets.includes(target)) throw new Stop(`which target? ${targets.join(', ')}`);
  const host = /host: (.*)/.exec(output('rustc', ['-vV']) ?? '')?.[1] ?? '';
  // A named target: the flags are for what is fuzzed, not for the build scripts.
  const build = ['build', '--release', '--locked', '--quiet', '--bin', target, '--target', host];
  const env = { RUSTFLAGS: [...FLAGS, '--cfg', 'fuzzing'].join(' '), CARGO_TARGET_DIR: at('fuzz', 'target') };
  await run('cargo', build, { cwd: at('fuzz'), env });
  const work = at('fuzz', 'work', target);
  mkdirSync(work, { recursive: true });
  mkdirSync(at('fuzz', 'artifacts'), { recursive: true });
  const known = [at('fuzz', 'corpus', target), at('fuzz', 'findings', target)].filter((folder) => existsSync(folder));
  for (const folder of known) cpSync(folder, work, { recursive: true });
  say(
    `${target}: ${runs} executions; what is found wrong goes to fuzz/artifacts, and belongs in fuzz/findings/${target}`,
  );
  const limits = ['-max_len=4096', '-timeout=10', '-rss_limit_mb=2048', '-print_final_stats=1'];
  const artifacts = `-artifact_prefix=${at('fuzz', 'artifacts', `${target}-`)}`;
  await run(at('fuzz', 'target', host, 'release', target), [...limits, artifacts, `-runs=${runs}`, work]);
});
