import { defineConfig } from 'vitest/config';

const dist = new URL('dist/', import.meta.url).pathname;

const MEMORY = 'tests/js/memory.test.ts';

export default defineConfig({
  resolve: {
    // The tests use the package as its users do, by name; what is not offered is imported from ../../dist/.
    alias: [
      { find: /^quantpress$/, replacement: `${dist}node.js` },
      { find: /^quantpress\/(slim|inline|worker)$/, replacement: `${dist}$1.js` },
    ],
  },
  test: {
    globalSetup: ['tests/js/support/build.ts'],
    // Compiled code is loaded by Node itself, not rewritten: what is tested is what is shipped.
    server: { deps: { external: [/\/dist\//] } },
    // Whole models, on a busy machine of two cores.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    projects: [
      { extends: true, test: { name: 'node', include: ['tests/js/**/*.test.ts'], exclude: [MEMORY] } },
      // Alone and last: beside others on two cores the collector runs late, and its lateness is what would be measured.
      { extends: true, test: { name: 'memory', include: [MEMORY], sequence: { groupOrder: 1 } } },
      { extends: true, test: { name: 'browser', include: ['tests/browser/**/*.test.ts'], fileParallelism: false } },
      { extends: true, test: { name: 'package', include: ['tests/package/**/*.test.ts'], fileParallelism: false } },
    ],
  },
});
