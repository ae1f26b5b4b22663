/** `npm run test:large`: tests that take minutes and gigabytes of disk and are not part of `npm test`. */

import { defineConfig } from 'vitest/config';

const root = new URL('../../', import.meta.url).pathname;

export default defineConfig({
  root,
  resolve: { alias: [{ find: /^quantpress$/, replacement: `${root}dist/node.js` }] },
  test: {
    globalSetup: [`${root}tests/js/support/build.ts`],
    server: { deps: { external: [/\/dist\//] } },
    include: ['tests/large/**/*.test.ts'],
    fileParallelism: false,
    testTimeout: 3_600_000,
    hookTimeout: 600_000,
  },
});
