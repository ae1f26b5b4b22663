/** The cost of opening the page: bytes, layout shifts, blocking. */

import { readdirSync, readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { open } from './support/browser.js';
import { measured, usePlayground } from './support/playground.js';

const app = usePlayground();

/** The scripts that index.html needs at first: those it names, and their imports. */
function firstScripts(): string[] {
  const folder = 'www/dist/assets';
  const names = new Set(readdirSync(folder).filter((name) => name.endsWith('.js')));
  const html = readFileSync('www/dist/index.html', 'utf8');
  const wanted = [...html.matchAll(/(?:src|href)="\.\/assets\/([^"]+\.js)"/g)].map(([, name]) => name ?? '');
  for (const name of wanted) {
    const text = readFileSync(`${folder}/${name}`, 'utf8');
    for (const [, other = ''] of text.matchAll(/(?:from|import)\s*"\.\/([^"]+\.js)"/g)) {
      if (names.has(other) && !wanted.includes(other)) wanted.push(other);
    }
  }
  return wanted.map((name) => `${folder}/${name}`);
}

test('the scripts of the first view take at most 120 kB compressed', () => {
  const scripts = firstScripts();
  expect(scripts.length).toBeGreaterThan(0);
  const bytes = scripts.reduce((sum, path) => sum + gzipSync(readFileSync(path), { level: 9 }).length, 0);
  expect(bytes).toBeLessThanOrEqual(120_000);
});

test('the other views and llama.cpp are not fetched before they are needed', async () => {
  const asked: string[] = [];
  const { page } = await open(app.browser, 'about:blank');
  page.on('request', (request) => asked.push(request.url()));
  await page.goto(app.url);
  await measured(page);
  expect(asked.filter((url) => /blocks|benchmarks|try-|wllama/.test(url.split('/').pop() ?? ''))).toEqual([]);
  await page.close();
});

for (const width of [360, 1280]) {
  test(`the layout does not shift while the page loads, ${width} pixels wide`, async () => {
    const { page } = await open(app.browser, 'about:blank');
    await page.setViewportSize({ width, height: 800 });
    await page.addInitScript(() => {
      const moved: unknown[] = [];
      Object.assign(globalThis, { moved });
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) {
          const { value, sources } = entry as unknown as { value: number; sources: { node: Element | null }[] };
          moved.push([value, sources.map(({ node }) => node?.parentElement?.className ?? node?.nodeName)]);
        }
      }).observe({ type: 'layout-shift', buffered: true });
    });
    await page.goto(app.url);
    await measured(page);
    expect(await page.evaluate(() => (globalThis as unknown as { moved: unknown[] }).moved)).toEqual([]);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
    await page.close();
  });
}

test('the first paint does not wait for the engine', async () => {
  const { page } = await open(app.browser, 'about:blank');
  let release: () => void = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  await page.route('**/*.wasm', async (route) => {
    await held;
    await route.continue();
  });
  await page.goto(app.url, { waitUntil: 'commit' });
  await page.getByRole('heading', { name: 'What each preset costs' }).waitFor();
  await page.getByRole('button', { name: 'A file', exact: true }).waitFor();
  await page.waitForFunction(() => performance.getEntriesByName('first-contentful-paint').length > 0);
  release();
  await page.locator('.verdict', { hasText: 'Weight error' }).waitFor();
  await page.close();
});
