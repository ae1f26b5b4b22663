/** An installed Firefox for the tests in a second engine. Set FIREFOX to use another one. */

import { aptInstall, isDebianRoot, isProgram, which } from './run.js';
import { say, Stop } from './say.js';

const MAC = '/Applications/Firefox.app/Contents/MacOS/firefox';

const find = () => which('firefox-esr', 'firefox') ?? (isProgram(MAC) ? MAC : undefined);

/** @returns {Promise<string>} the path of the browser */
export async function firefox() {
  const named = process.env.FIREFOX;
  if (named) {
    if (isProgram(named)) return named;
    throw new Stop(`FIREFOX is ${named}, which is not an executable`);
  }
  const found = find() ?? ((await install()) ? find() : undefined);
  if (found) return found;
  throw new Stop('the tests also need Firefox: install it, or set FIREFOX to its path');
}

/**
 * Starts Firefox. playwright only drives its own build of Firefox, so this uses WebDriver BiDi.
 * @returns {Promise<import('puppeteer-core').Browser>} the caller closes it
 */
export async function launchFirefox() {
  const { default: puppeteer } = await import('puppeteer-core');
  return puppeteer.launch({ browser: 'firefox', executablePath: await firefox(), headless: true, timeout: 60_000 });
}

async function install() {
  if (!isDebianRoot()) return false;
  say("installing Debian's firefox-esr");
  return (await aptInstall(['firefox-esr'])) === 0;
}
