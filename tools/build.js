#!/usr/bin/env node
/**
 * `npm run build`: installs what is missing, then builds the package in dist/. `--dev` compiles for a fast inner loop,
 * `--same` in the mode of the last build.
 */

import { buildEngine, lastMode } from './lib/engine.js';
import { buildJavaScript } from './lib/javascript.js';
import { ensurePackages } from './lib/packages.js';
import { say, tool } from './lib/say.js';

await tool(async () => {
  await ensurePackages();
  const same = process.argv.includes('--same') ? lastMode() : 'release';
  await buildEngine(process.argv.includes('--dev') ? 'dev' : same);
  await buildJavaScript();
  say('dist/ is up to date');
});
