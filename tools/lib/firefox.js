/** A Firefox of the machine, for the tests in a second engine. FIREFOX names another. */

import { aptInstall, isDebianRoot, isProgram, which } from './run.js';
import { say, Stop } from './say.js';

const MAC = '/Applications/Firefox.app/Contents/MacOS/firefox';

const find = () => which('firefox-esr', 'firefox') ?? (isProgram(MAC) ? MAC : undefined);

/** @returns {Promise<string>} the path of the browser */
export async function firefox() {
  const named = process.env.FIREFOX;
  if (named) {
    if (isProgram(named)) return named;
    throw new Stop(`FIREFOX is ${named}, which is no program`);
  }
  const found = find() ?? ((await install()) ? find() : undefined);
  if (found) return found;
  throw new Stop('the tests need Firefox too: install it, or set FIREFOX to its program');
}

/**
 * Starts it. playwright drives only a Firefox of its own, so this one speaks WebDriver BiDi.
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
