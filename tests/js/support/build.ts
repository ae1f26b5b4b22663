/** Before the tests: builds dist/ if it is out of date, however the tests were started. */

import { spawnSync } from 'node:child_process';

export function setup(): void {
  // npm test has already built a release; during development a fast build is used.
  if (process.env.QUANTPRESS_BUILT) return;
  const { status } = spawnSync(process.execPath, ['tools/build.js', '--same'], { stdio: 'inherit' });
  if (status !== 0) throw new Error('the build failed');
  process.env.QUANTPRESS_BUILT = '1'; // once is enough for all projects
}
