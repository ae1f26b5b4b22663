/** The tests in engines as they are set up, but for what is run: two tests of which one has to fail. */

import { defineConfig, type TestProjectInlineConfiguration } from 'vitest/config';
import whole from '../../../vitest.config.js';

const engines = (whole.test?.projects ?? []).find(
  (project): project is TestProjectInlineConfiguration =>
    typeof project === 'object' && 'test' in project && project.test?.name === 'engines',
);

export default defineConfig({
  ...whole,
  test: {
    ...whole.test,
    projects: [{ ...engines, test: { ...engines?.test, include: ['tests/engines/control/*.control.ts'] } }],
  },
});
