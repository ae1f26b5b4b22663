#!/usr/bin/env node
/**
 * `npm test`: builds everything and runs every test. `--quick`: the inner loop, without
 * release builds, browsers, oracles and tests that run other programs.
 *
 * Two chains of steps run concurrently, one per core of a small machine, the longest first, as soon as the build they need
 * is there; the summary of the last runner ends the output.
 */

import { buildEngine, MODULES } from './lib/engine.js';
import { testInWasm } from './lib/engine-tests.js';
import { buildJavaScript } from './lib/javascript.js';
import { ensurePackages } from './lib/packages.js';
import { buildPlayground } from './lib/playground.js';
import { wasmToolchain } from './lib/rust.js';
import { tool } from './lib/say.js';
import { npmStep, ownStep, runSteps, step } from './lib/steps.js';
import { availableEngines } from './lib/engines.js';
import { packageSteps } from './lib/package-check.js';
import { quickTests } from './lib/quick-tests.js';

const built = { QUANTPRESS_BUILT: '1' };

/** @typedef {{ chains: import('./lib/steps.js').Chain[], last: import('./lib/steps.js').Step[] }} Work */

/** @returns {Promise<Work>} */
async function quick() {
  const build = {
    steps: [
      ownStep('build (quick)', async () => {
        await buildEngine('dev');
        await buildJavaScript();
      }),
    ],
  };
  const others = [
    npmStep('JavaScript in Node', 'vitest', ['run', '--project', 'node', ...quickTests()], built),
    npmStep('types', 'tsc', ['--project', '.']),
    npmStep('types of the playground', 'tsc', ['--project', 'www']),
  ];
  const natively = [step('Rust', 'cargo', ['test', '--locked', '--quiet', '--lib', '--test', 'library'])];
  return { chains: [build, { steps: natively }, { steps: others, after: build }], last: [] };
}

/** @returns {Promise<Work>} */
async function everything() {
  const engines = await availableEngines();
  await wasmToolchain();
  const build = {
    steps: [
      ownStep('build', async () => {
        await buildEngine('release');
        await buildJavaScript();
        await buildPlayground();
      }),
    ],
  };
  const clippy = ['clippy', '--locked', '--quiet'];
  const deny = ['--', '--deny', 'warnings'];
  // Debian's compiler for WebAssembly comes without clippy, so the bindings are linted only with rustup's.
  const features = MODULES.map(({ feature }) => feature).join();
  const boundary =
    (await wasmToolchain()) === 'path'
      ? [wasmClippy([...clippy, '--lib', '--no-default-features', '--features', features], deny)]
      : [];
  // Two chains with separate target folders, so that neither waits for the other's lock.
  const natively = [
    step('Rust format', 'cargo', ['fmt', '--check']),
    step('Rust lint', 'cargo', [...clippy, '--all-targets', ...deny]),
    step('Rust lint of the codecs alone', 'cargo', [...clippy, '--all-targets', '--no-default-features', ...deny]),
    step('Rust documentation', 'cargo', ['doc', '--locked', '--no-deps', '--quiet'], {
      RUSTDOCFLAGS: '--deny warnings',
    }),
    step('Rust, natively, and the live oracle', 'cargo', ['test', '--locked']),
  ];
  const others = [
    step('TypeScript documentation', process.execPath, [
      'tools/typedoc/node_modules/typedoc/bin/typedoc',
      ...['--options', 'tools/typedoc/typedoc.json', '--emit', 'none'],
    ]),
    npmStep('lint and format', 'biome', ['check', '--error-on-warnings', '.']),
    npmStep('types', 'tsc', ['--project', '.']),
    npmStep('types of the playground', 'tsc', ['--project', 'www']),
    ...packageSteps(),
    ...boundary,
    ...testInWasm(engines),
  ];
  const env = { ...built, QUANTPRESS_ENGINES: engines.join() };
  /** @param {string} name @param {string[]} projects */
  const vitest = (name, projects) =>
    npmStep(name, 'vitest', ['run', ...projects.flatMap((project) => ['--project', project])], env);
  return {
    // The build is mostly one thread, and native Rust does not need it. Browser tests wait as much as they compute, so
    // other steps can run next to them.
    chains: [
      build,
      { steps: natively },
      { steps: [vitest('pages in browsers', ['browser'])], after: build },
      { steps: [vitest('JavaScript in Node', ['node'])], after: build },
      { steps: others, after: build },
      { steps: [vitest('JavaScript in three engines', ['engines*'])], after: build },
      { steps: [vitest('the package', ['package'])], after: build },
    ],
    // Measurements run alone.
    last: [vitest('memory', ['memory'])],
  };
}

/** @param {string[]} args @param {string[]} deny */
function wasmClippy(args, deny) {
  const target = ['--target', 'wasm32-unknown-unknown', '--target-dir', 'target/wasm-clippy'];
  return step('Rust lint of the boundary', 'cargo', [...args, ...target, ...deny]);
}

await tool(async () => {
  await ensurePackages();
  const { chains, last } = process.argv.includes('--quick') ? await quick() : await everything();
  if (!(await runSteps(chains, last))) process.exitCode = 1;
});
