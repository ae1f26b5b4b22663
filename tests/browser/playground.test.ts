/** The playground as it is served. */

import { formats, init } from 'quantpress';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { launch, open } from './support/browser.js';
import { type Server, serve } from './support/server.js';

let browser: Browser;
let server: Server;

beforeAll(async () => {
  await init();
  server = await serve('www/dist');
  browser = await launch();
});

afterAll(async () => {
  await browser?.close();
  await server?.close();
});

test('the page loads the engine and lists its formats', async () => {
  const { page, problems } = await open(browser, server.url);
  await page.getByText('The engine is ready').waitFor();
  expect(await page.locator('tbody tr').count()).toBe(formats().length);
  expect(problems).toEqual([]);
});
