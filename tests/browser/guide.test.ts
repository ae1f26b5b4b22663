/** The guide's pages for a browser, run as they are: a file is chosen and the smaller one saved; the package comes from a CDN. */

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { blocksOf } from '../js/support/pages.js';
import { WHALE, WHALE_SHA256 } from '../js/support/whale.js';
import { launch, open } from './support/browser.js';
import { serve } from './support/server.js';

/** The folder that the guide describes: the page, and the package where npm installs it. */
const SITE = '.cache/guide/site';

test('the page of the quick start writes the right file', async () => {
  const pages = blocksOf('docs/quick-start.md').filter(({ language }) => language === 'html');
  expect(pages).toHaveLength(1);
  mkdirSync(`${SITE}/node_modules`, { recursive: true });
  if (!existsSync(`${SITE}/node_modules/quantpress`)) symlinkSync(resolve('.'), `${SITE}/node_modules/quantpress`);
  const icon = { type: 'image/svg+xml', body: '<svg xmlns="http://www.w3.org/2000/svg"/>' };
  const server = await serve(SITE, {
    '/': { type: 'text/html', body: pages[0]?.code ?? '' },
    '/favicon.ico': icon,
  });
  const browser = await launch();
  try {
    const { page, problems } = await open(browser, server.url);
    await page.waitForFunction('document.querySelector("input")?.onchange');
    await page.setInputFiles('input', WHALE);
    const link = page.getByRole('link', { name: 'Save' });
    const [download] = await Promise.all([page.waitForEvent('download'), link.click()]);
    expect(download.suggestedFilename()).toBe('model-Q4_K_M.gguf');
    const bytes = readFileSync(await download.path());
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(WHALE_SHA256.Q4_K_M);
    expect(await page.title()).toBe('100%');
    expect(problems).toEqual([]);
  } finally {
    await browser.close();
    await server.close();
  }
});

test('the page of a CDN, from another origin, with one script and the engine', async () => {
  const [block] = blocksOf('docs/deploying.md').filter(({ language }) => language === 'html');
  const server = await serve(SITE, {
    '/': { type: 'text/html', body: `<link rel="icon" href="data:,">${block?.code}` },
  });
  const browser = await launch();
  try {
    const page = await browser.newPage();
    const asked: string[] = [];
    await page.route('https://cdn.jsdelivr.net/**', (route) => {
      const { pathname } = new URL(route.request().url());
      asked.push(pathname);
      const path = pathname.replace(`/npm/quantpress@${JSON.parse(readFileSync('package.json', 'utf8')).version}/`, '');
      return route.fulfill({ path, headers: { 'access-control-allow-origin': '*' } });
    });
    const line = page.waitForEvent('console');
    await page.goto(server.url);
    expect((await line).text()).toBe('34');
    expect(asked.map((path) => path.split('/').pop())).toEqual(['bundle.js', 'quantpress.wasm']);
  } finally {
    await browser.close();
    await server.close();
  }
});
