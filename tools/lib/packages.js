/** The npm packages of package-lock.json. */

import { existsSync, readFileSync } from 'node:fs';
import { at, exitCode } from './run.js';
import { say, Stop } from './say.js';

/** Installs the packages, unless they match the lock file. */
export async function ensurePackages() {
  if (installed()) return;
  say('installing the npm packages of package-lock.json');
  // No package needs install scripts, so none may run.
  const code = await exitCode('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']);
  if (code !== 0) throw new Stop('the npm packages could not be installed: is the npm registry reachable?');
}

function installed() {
  const here = at('node_modules', '.package-lock.json');
  if (!existsSync(here)) return false;
  const wanted = JSON.parse(readFileSync(at('package-lock.json'), 'utf8')).packages;
  const found = JSON.parse(readFileSync(here, 'utf8')).packages;
  return Object.entries(wanted).every(([path, { version, optional, link }]) => {
    if (!path.includes('node_modules/') || link) return true;
    return found[path] ? found[path].version === version : optional === true;
  });
}
