/** The whole workflow in Firefox: open, measure, choose, shrink, with the same bytes. */

import type { Browser } from 'puppeteer-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { init } from 'quantpress';
import { launchFirefox, PATIENCE } from './support/browser.js';
import { inNode } from './support/playground.js';
import { type Server, serve } from './support/server.js';

let browser: Browser;
let server: Server;

beforeAll(async () => {
  await init();
  server = await serve('www/dist');
  browser = await launchFirefox();
});

afterAll(async () => {
  await browser?.close();
  await server?.close();
});

test('the sample is measured, shrunk to the same file as in Node, and saved in browser storage', async () => {
  const page = await browser.newPage();
  page.setDefaultTimeout(PATIENCE);
  const problems: string[] = [];
  page.on('pageerror', (error) => problems.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error') problems.push(message.text());
  });
  await page.goto(server.url);
  await page.waitForFunction(() =>
    document.querySelector('.verdict')?.textContent?.includes('measured on all of them'),
  );
  expect(await page.$$eval('.dot.best', (dots) => dots.length)).toBeGreaterThan(5);
  await page.click('.preset [value="Q5_K_M"]');
  await page.waitForFunction(() => document.querySelector('.shrink .primary')?.textContent === 'Shrink to Q5_K_M');
  await page.click('.shrink .primary');
  await page.waitForSelector('.hash');
  const [said, saved] = await page.evaluate(async () => {
    const link = document.querySelector<HTMLAnchorElement>('a[download]');
    const bytes = await (await fetch(link?.href ?? '')).arrayBuffer();
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
    const hex = Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
    return [document.querySelector('.hash')?.textContent, hex];
  });
  const expected = await inNode('Q5_K_M');
  expect([said, saved]).toEqual([expected, expected]);
  const kept = await page.evaluate(async () => {
    const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle('results');
    return (await (await folder.getFileHandle('tiny-whale-Q5_K_M.gguf')).getFile()).size;
  });
  expect(kept).toBe(2_658_400);
  expect(problems).toEqual([]);
  await page.close();
});
