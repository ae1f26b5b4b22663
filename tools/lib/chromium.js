/** A Chromium or Chrome of the machine, for the tests in a browser. CHROMIUM names another. */

import { aptInstall, isDebianRoot, isProgram, which } from './run.js';
import { say, Stop } from './say.js';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
const MAC = ['Google Chrome', 'Chromium'].map((name) => `/Applications/${name}.app/Contents/MacOS/${name}`);

/** What a browser under test must not do: phone home, or need a user's name space, which root does not have. */
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
    throw new Stop(`CHROMIUM is ${named}, which is no program`);
  }
  const found = find() ?? ((await install()) ? find() : undefined);
  if (found) return found;
  throw new Stop('the tests need a browser: install Chromium or Chrome, or set CHROMIUM to its program');
}

async function install() {
  if (!isDebianRoot()) return false;
  say("installing Debian's chromium");
  return (await aptInstall(['chromium'])) === 0;
}
