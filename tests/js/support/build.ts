/** Before the tests: dist/ is what the sources say, however the tests were started. */

import { spawnSync } from 'node:child_process';

export function setup(): void {
  // npm test has built already, for release; someone at work wants it quick.
  if (process.env.QUANTPRESS_BUILT) return;
  const { status } = spawnSync(process.execPath, ['tools/build.js', '--same'], { stdio: 'inherit' });
  if (status !== 0) throw new Error('the build failed');
  process.env.QUANTPRESS_BUILT = '1'; // once is enough for all projects
}
