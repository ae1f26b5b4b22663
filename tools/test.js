#!/usr/bin/env node
/**
 * `npm test`: builds everything and runs every test. `--quick`: the inner loop, without release builds and browsers.
 *
 * The gates come first and the test runners last, so that the output closes with their summaries.
 */

import { buildEngine } from './lib/engine.js';
import { testInWasm } from './lib/engine-tests.js';
import { buildJavaScript } from './lib/javascript.js';
import { ensurePackages } from './lib/packages.js';
import { buildPlayground } from './lib/playground.js';
import { wasmToolchain } from './lib/rust.js';
import { tool } from './lib/say.js';
import { npmStep, runSteps, step } from './lib/steps.js';
import { availableEngines } from './lib/engines.js';
import { packageSteps } from './lib/package-check.js';

const built = { QUANTPRESS_BUILT: '1' };

/** @returns {Promise<import('./lib/steps.js').Step[]>} */
async function quick() {
  await buildEngine('dev');
  await buildJavaScript();
  return [
    npmStep('types', 'tsc', ['--project', '.']),
    npmStep('types of the playground', 'tsc', ['--project', 'www']),
    step('Rust', 'cargo', ['test', '--locked', '--quiet']),
    npmStep('JavaScript in Node', 'vitest', ['run', '--project', 'node', '--project', 'memory'], built),
  ];
}

/** @returns {Promise<import('./lib/steps.js').Step[]>} */
async function everything() {
  const engines = await availableEngines();
  await buildEngine('release');
  await buildJavaScript();
  await buildPlayground();
  const clippy = ['clippy', '--locked', '--quiet'];
  const deny = ['--', '--deny', 'warnings'];
  // Debian's compiler for WebAssembly comes without clippy; the boundary's code is linted wherever rustup's is used.
  const boundary = (await wasmToolchain()) === 'path' ? [wasmClippy([...clippy, '--lib'], deny)] : [];
  return [
    step('Rust format', 'cargo', ['fmt', '--check']),
    step('Rust lint', 'cargo', [...clippy, '--all-targets', ...deny]),
    ...boundary,
    step('Rust documentation', 'cargo', ['doc', '--locked', '--no-deps', '--quiet'], {
      RUSTDOCFLAGS: '--deny warnings',
    }),
    step('TypeScript documentation', process.execPath, [
      'tools/typedoc/node_modules/typedoc/bin/typedoc',
      ...['--options', 'tools/typedoc/typedoc.json', '--emit', 'none'],
    ]),
    npmStep('lint and format', 'biome', ['check', '--error-on-warnings', '.']),
    npmStep('types', 'tsc', ['--project', '.']),
    npmStep('types of the playground', 'tsc', ['--project', 'www']),
    ...packageSteps(),
    step('Rust, natively, and the live oracle', 'cargo', ['test', '--locked']),
    ...testInWasm(engines),
    npmStep('JavaScript in Node and in browsers', 'vitest', ['run'], { ...built, QUANTPRESS_ENGINES: engines.join() }),
  ];
}

/** @param {string[]} args @param {string[]} deny */
function wasmClippy(args, deny) {
  const target = ['--target', 'wasm32-unknown-unknown', '--target-dir', 'target/wasm-clippy'];
  return step('Rust lint of the boundary', 'cargo', [...args, ...target, ...deny]);
}

await tool(async () => {
  await ensurePackages();
  const steps = process.argv.includes('--quick') ? await quick() : await everything();
  if (!(await runSteps(steps))) process.exitCode = 1;
});
