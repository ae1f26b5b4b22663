/** A failure in an engine is reported: otherwise the tests in tests/engines could not fail. */

import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';

test('a failing test in a page is reported by name, and fails the run', () => {
  const args = ['vitest', 'run', '--root', '.', '--config', 'tests/engines/control/vitest.config.ts'];
  const env = { ...process.env, QUANTPRESS_ENGINES: 'chromium', QUANTPRESS_BUILT: '1', NO_COLOR: '1', CI: '' };
  const { status, stdout, stderr } = spawnSync('npx', args, { encoding: 'utf8', env });
  const said = stdout + stderr;
  expect(status, said).toBe(1);
  expect(said).toContain('a page has no document');
  expect(said).toContain("expected 'object' to be 'undefined'");
  expect(said).toMatch(/Tests +1 failed \| 1 passed \(2\)/);
});
