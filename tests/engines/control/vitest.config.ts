/** The configuration of the engine tests, but with two tests of which one must fail. */

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
