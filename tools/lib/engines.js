/** The three browser engines that the tests run in, as installed on the machine, each with one window. */

import { chromium, FLAGS } from './chromium.js';
import { firefox, launchFirefox } from './firefox.js';
import { isDebianRoot } from './run.js';
import { say, Stop } from './say.js';
import { webDriver } from './webdriver.js';
import { webkitDriver } from './webkit.js';

/**
 * A browser with one window.
 * @typedef {object} Window
 * @property {(url: string) => Promise<void>} goto
 * @property {() => Promise<string>} text the text of the page
 * @property {() => Promise<void>} close closes the browser
 */

/** Reads the text of the page. A string, because compiling this file may rewrite functions. */
const TEXT = 'document.body.textContent';

/**
 * How each engine is found (and installed, if possible) and started.
 * @type {Record<string, { find: () => Promise<unknown>, start: () => Promise<Window> }>}
 */
const ENGINES = {
  chromium: {
    find: chromium,
    start: async () => {
      const { chromium: driver } = await import('playwright-core');
      const browser = await driver.launch({ executablePath: await chromium(), args: FLAGS, timeout: 60_000 });
      const page = await browser.newPage();
      return {
        goto: async (url) => void (await page.goto(url)),
        text: () => page.evaluate(TEXT),
        close: () => browser.close(),
      };
    },
  },
  firefox: {
    find: firefox,
    start: async () => {
      const browser = await launchFirefox();
      const page = await browser.newPage();
      return {
        goto: async (url) => void (await page.goto(url)),
        text: async () => String(await page.evaluate(TEXT)),
        close: () => browser.close(),
      };
    },
  },
  webkit: {
    find: async () => {
      if (!(await webkitDriver())) throw new Stop(`there is no WebKitGTK for ${process.platform}`);
    },
    start: async () => {
      const driver = await webkitDriver();
      if (!driver) throw new Stop(`there is no WebKitGTK for ${process.platform}`);
      return webDriver(driver);
    },
  },
};

/** The names of the engines. */
export const engineNames = Object.keys(ENGINES);

/** Starts an engine. @param {string} name @returns {Promise<Window>} the caller closes it */
export async function openEngine(name) {
  const engine = ENGINES[name];
  if (!engine) throw new Stop(`unknown engine ${name}; the engines are ${engineNames.join(', ')}`);
  return engine.start();
}

/**
 * The engines that this machine has or that could be installed. Missing engines are reported; it is an error if they
 * could have been installed, that is, on a server where Debian packages can be installed.
 * @returns {Promise<string[]>}
 */
export async function availableEngines() {
  const names = [];
  for (const [name, { find }] of Object.entries(ENGINES)) {
    try {
      await find();
      names.push(name);
    } catch (error) {
      if (!(error instanceof Stop) || (process.env.CI && isDebianRoot())) throw error;
      say(`NOT TESTED in ${name}: ${error.message}`);
    }
  }
  return names;
}
