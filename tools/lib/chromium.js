/** An installed Chromium or Chrome for the browser tests. Set CHROMIUM to use another one. */

import { aptInstall, isDebianRoot, isProgram, which } from './run.js';
import { say, Stop } from './say.js';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
const MAC = ['Google Chrome', 'Chromium'].map((name) => `/Applications/${name}.app/Contents/MacOS/${name}`);

/** Flags that prevent network requests, and sandboxing with user namespaces, which root does not have. */
export const FLAGS = [
  '--no-sandbox',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

const find = () => which(...NAMES) ?? MAC.find(isProgram);

/** @returns {Promise<string>} the path of the browser */
export async function chromium() {
  const named = process.env.CHROMIUM;
  if (named) {
    if (isProgram(named)) return named;
    throw new Stop(`CHROMIUM is ${named}, which is not an executable`);
  }
  const found = find() ?? ((await install()) ? find() : undefined);
  if (found) return found;
  throw new Stop('the tests need a browser: install Chromium or Chrome, or set CHROMIUM to its path');
}

async function install() {
  if (!isDebianRoot()) return false;
  say("installing Debian's chromium");
  return (await aptInstall(['chromium'])) === 0;
}
