/** Opened once, the page works without a network, and can be installed. */

import { readFile } from 'node:fs/promises';
import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { leave, open } from './support/browser.js';
import { download, inNode, sha256, useServed } from './support/playground.js';
import { serve } from './support/server.js';

const app = useServed();

/** Waits until all built files are cached. */
async function kept(page: Page): Promise<void> {
  await page.evaluate(async () => {
    await navigator.serviceWorker.ready;
    if (navigator.serviceWorker.controller) return;
    await new Promise((resolve) => navigator.serviceWorker.addEventListener('controllerchange', resolve));
  });
}

test('without its server, the page reopens, shrinks the sample and shows its other views', async () => {
  const gone = await serve('www/dist');
  const { page, problems } = await open(app.browser, gone.url);
  await kept(page);
  await gone.close();
  await leave(problems, () => page.reload());
  await page.getByRole('button', { name: 'Shrink to Q4_K_M' }).click();
  const { bytes } = await download(page);
  expect(sha256(bytes)).toBe(await inNode('Q4_K_M'));
  await page.getByRole('link', { name: 'Blocks' }).click();
  await page.locator('[data-i="143"]').waitFor();
  await page.getByRole('link', { name: 'Benchmarks' }).click();
  const suite = page.getByRole('region', { name: 'Accuracy after quantization' });
  await suite.getByRole('button', { name: 'Run' }).click();
  await suite.locator('.finding', { hasText: 'two bits keep' }).waitFor();
  await leave(problems, () => page.goto(`${gone.url}/url.html`));
  await page.getByRole('button', { name: 'Shrink to Q4_K_M' }).waitFor();
  expect(problems).toEqual([]);
  await page.close();
});

test('the cache has exactly the files that the service worker lists', async () => {
  const { page } = await open(app.browser, app.url);
  await kept(page);
  const addresses = await page.evaluate(async () => {
    const [name = ''] = await caches.keys();
    return (await (await caches.open(name)).keys()).map(({ url }) => new URL(url).pathname.slice(1));
  });
  const worker = await readFile('www/dist/sw.js', 'utf8');
  const files = JSON.parse(/FILES = .*?(\[[^\]]+\])/.exec(worker)?.[1] ?? '[]') as string[];
  expect(addresses.sort()).toEqual(files.sort());
  for (const needed of [
    /^index\.html$/,
    /^url\.html$/,
    /quantpress-[\w-]{8}\.wasm$/,
    /quantpress-model-.*\.wasm$/,
    /quantpress-convert-.*\.wasm$/,
    /tiny-whale-f16.*\.gguf$/,
    /^assets\/worker/,
  ]) {
    expect(
      files.some((file) => needed.test(file)),
      String(needed),
    ).toBe(true);
  }
  await page.close();
});

test('a new version replaces the cache once no page of the old version is open', async () => {
  const script = await readFile('www/dist/sw.js', 'utf8');
  const version = /VERSION = .*?"(\w+)"/.exec(script)?.[1] ?? '';
  const pages: Record<string, { type: string; body: string }> = {};
  const changing = await serve('www/dist', pages);
  const context = await app.browser.newContext();
  const first = await context.newPage();
  await first.goto(changing.url);
  await kept(first);
  pages['/sw.js'] = { type: 'text/javascript', body: script.replace(version, 'another-version') };
  const names = (page: Page) => page.evaluate(() => caches.keys());
  await first.evaluate(async () => {
    const registration = await navigator.serviceWorker.ready;
    await registration.update();
  });
  // Both versions are cached while a page of the old one is open.
  await expect
    .poll(async () => (await names(first)).sort())
    .toEqual([`quantpress-${version}`, 'quantpress-another-version'].sort());
  await first.close();
  // The browser activates the new version some time after the last page is closed.
  const later = async (): Promise<string[]> => {
    const page = await context.newPage();
    await page.goto(`${changing.url}/icon.svg`);
    const now = await names(page);
    await page.close();
    return now;
  };
  await expect.poll(later, { interval: 1000 }).toEqual(['quantpress-another-version']);
  await context.close();
  await changing.close();
});

test('the browser reports no installability error', async () => {
  const { page, problems } = await open(app.browser, app.url);
  await kept(page);
  const session = await page.context().newCDPSession(page);
  const { errors, data } = await session.send('Page.getAppManifest');
  expect(errors).toEqual([]);
  const { icons, ...manifest } = JSON.parse(data ?? '{}') as { icons: { src: string; sizes: string; type: string }[] };
  expect(manifest).toMatchObject({ name: 'Quantpress', display: 'standalone', start_url: './' });
  for (const { src, sizes, type } of icons) {
    const response = await fetch(`${app.url}/${src}`);
    expect(response.headers.get('content-type'), src).toBe(type);
    const bytes = Buffer.from(await response.arrayBuffer());
    if (type === 'image/png') expect(`${bytes.readUInt32BE(16)}x${bytes.readUInt32BE(20)}`, src).toBe(sizes);
  }
  const { installabilityErrors } = await session.send('Page.getInstallabilityErrors');
  // The only error is that a test runs in a private window.
  expect(installabilityErrors.map(({ errorId }) => errorId).filter((id) => id !== 'in-incognito')).toEqual([]);
  expect(problems).toEqual([]);
  await page.close();
});
