import { defineConfig } from 'vitest/config';

export default defineConfig({
  resolve: {
    // The tests use the package as its users do, by name; `quantpress/internal/*` are the files of dist/.
    alias: [
      { find: /^quantpress$/, replacement: new URL('dist/node.js', import.meta.url).pathname },
      { find: /^quantpress\/(slim|inline|worker)$/, replacement: new URL('dist/$1.js', import.meta.url).pathname },
    ],
  },
  test: {
    include: ['tests/js/**/*.test.ts'],
    globalSetup: ['tests/js/support/build.ts'],
    // Compiled code is loaded by Node itself, not rewritten: what is tested is what is shipped.
    server: { deps: { external: [/\/dist\//] } },
    // Whole models, on a busy machine of two cores.
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
