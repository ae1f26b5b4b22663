/** The machine's Chromium, driven by playwright-core, and its Firefox, by puppeteer-core. */

import { type Browser, chromium, type JSHandle, type Page } from 'playwright-core';
import { expect } from 'vitest';
import { chromium as find, FLAGS } from '../../../tools/lib/chromium.js';

export { launchFirefox } from '../../../tools/lib/firefox.js';

/** The timeout of waits in a page, longer than any test, because the machine may be busy: milliseconds. */
export const PATIENCE = 250_000;

/** Starts it. The caller closes it. Its pages wait as long as the test may take. */
export async function launch(): Promise<Browser> {
  const browser = await chromium.launch({ executablePath: await find(), args: FLAGS, timeout: PATIENCE });
  const { newContext } = browser;
  browser.newContext = async (options) => {
    const context = await newContext.call(browser, options);
    context.setDefaultTimeout(PATIENCE);
    return context;
  };
  const { newPage } = browser;
  browser.newPage = async (options) => {
    const page = await newPage.call(browser, options);
    page.setDefaultTimeout(PATIENCE);
    return page;
  };
  return browser;
}

/** A page that records its errors. */
export async function open(browser: Browser, url: string): Promise<{ page: Page; problems: string[] }> {
  const page = await browser.newPage();
  const problems: string[] = [];
  page.on('pageerror', (error) => problems.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') problems.push(message.text());
  });
  page.on('requestfailed', (request) => problems.push(`${request.url()}: ${request.failure()?.errorText}`));
  await page.goto(url);
  return { page, problems };
}

/** Leaves or reloads the page by `act`, which cancels its requests; no other errors are allowed. */
export async function leave(problems: string[], act: () => Promise<unknown>): Promise<void> {
  expect(problems).toEqual([]);
  await act();
  problems.splice(0, Infinity, ...problems.filter((problem) => !problem.endsWith('net::ERR_ABORTED')));
}

/** A module in the page, for `page.evaluate`. As a string, because Vite would rewrite an `import()` in a function. */
export function importIn<Module>(page: Page, name: string): Promise<JSHandle<Module>> {
  return page.evaluateHandle<Module>(`import(${JSON.stringify(name)})`);
}
