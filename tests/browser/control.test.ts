/** What fails in an engine is reported as failing: otherwise the tests in tests/engines could not fail. */

import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';

test('of two tests in a page the one that fails is told from the other, and the run has failed', () => {
  const args = ['vitest', 'run', '--root', '.', '--config', 'tests/engines/control/vitest.config.ts'];
  const env = { ...process.env, QUANTPRESS_ENGINES: 'chromium', QUANTPRESS_BUILT: '1', NO_COLOR: '1', CI: '' };
  const { status, stdout, stderr } = spawnSync('npx', args, { encoding: 'utf8', env });
  const said = stdout + stderr;
  expect(status, said).toBe(1);
  expect(said).toContain('a page is no page');
  expect(said).toContain("expected 'object' to be 'undefined'");
  expect(said).toMatch(/Tests +1 failed \| 1 passed \(2\)/);
});
