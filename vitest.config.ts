import { defineConfig } from 'vitest/config';
import { engines } from './tests/engines/support/provider.js';
import { serveFiles } from './tests/engines/support/serve-files.js';
import { engineNames } from './tools/lib/engines.js';

const root = new URL('.', import.meta.url).pathname;
const dist = `${root}dist/`;

const MEMORY = 'tests/js/memory.test.ts';

const HOSTILE = 'tests/js/hostile.test.ts';

const SEED = 'tests/js/support/seed.ts';

/** The Node tests that need nothing of Node: they also run in every engine. */
const IN_ENGINES = [
  'affine',
  'analysis',
  'analyze',
  'bench',
  'best-mix',
  'calibrate',
  'error',
  'format',
  'gguf',
  'golden',
  'hostile',
  'layouts',
  'model',
  'nf4',
  'qat',
  'safetensors',
  'tiles',
].map((name) => `tests/js/${name}.test.ts`);

/** `npm test` sets the installed engines. */
const ENGINES = process.env.QUANTPRESS_ENGINES?.split(',') ?? engineNames;

export default defineConfig({
  resolve: {
    // The tests import the package by name, like its users; internals are imported from ../../dist/.
    alias: [
      { find: /^quantpress$/, replacement: `${dist}node.js` },
      { find: /^quantpress\/(slim|inline|bundle|worker)$/, replacement: `${dist}$1.js` },
    ],
  },
  test: {
    globalSetup: ['tests/js/support/build.ts'],
    // Node itself loads the compiled code, not rewritten: the tests run what is shipped.
    server: { deps: { external: [/\/dist\//] } },
    // Whole models, on a busy machine of two cores.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 60_000 } },
    projects: [
      {
        extends: true,
        test: { name: 'node', include: ['tests/js/**/*.test.ts'], exclude: [MEMORY], setupFiles: [SEED] },
      },
      // Alone and last: next to other tests on two cores garbage collection runs late, which would distort the
      // measurement.
      { extends: true, test: { name: 'memory', include: [MEMORY], sequence: { groupOrder: 1 } } },
      {
        extends: true,
        test: {
          name: 'browser',
          include: ['tests/browser/**/*.test.ts'],
          fileParallelism: false,
          // A page on a busy machine is slow, and tests must not depend on its speed.
          testTimeout: 300_000,
          hookTimeout: 300_000,
          expect: { poll: { timeout: 250_000 } },
        },
      },
      {
        extends: true,
        plugins: [serveFiles(root)],
        resolve: {
          alias: [
            { find: /^quantpress$/, replacement: `${dist}browser.js` },
            { find: 'node:fs', replacement: `${root}tests/engines/support/files.ts` },
          ],
        },
        optimizeDeps: { include: ['fast-check'] },
        test: {
          name: 'engines',
          include: [...IN_ENGINES, 'tests/engines/**/*.test.ts'],
          setupFiles: [SEED],
          fileParallelism: false,
          isolate: false,
          sequence: { groupOrder: 2 },
          browser: {
            enabled: true,
            headless: true,
            screenshotFailures: false,
            connectTimeout: 120_000,
            provider: engines(),
            // The hostile calls have their own WebKitGTK, which once closed a page that had run everything else before.
            instances: ENGINES.flatMap((browser) =>
              browser === 'webkit'
                ? [
                    { browser, exclude: [HOSTILE] },
                    { browser, name: 'engines (webkit, hostile calls)', include: [HOSTILE] },
                  ]
                : [{ browser }],
            ),
          },
        },
      },
      { extends: true, test: { name: 'package', include: ['tests/package/**/*.test.ts'], fileParallelism: false } },
    ],
  },
});
