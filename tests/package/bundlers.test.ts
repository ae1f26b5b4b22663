/** The packed package through bundlers, and what they make of it in Chromium. */

import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { launch } from '../browser/support/browser.js';
import { serve } from '../browser/support/server.js';
import { type Consumer, createConsumer } from './support/consumer.js';
import { example, printed } from './support/example.js';

let browser: Browser;
let consumer: Consumer;

beforeAll(async () => {
  consumer = await createConsumer();
  consumer.write({
    'index.html': '<!doctype html><link rel="icon" href="data:,"><script type="module" src="./main.js"></script>',
    'main.js': example,
    'inline.js': example.replace("'quantpress'", "'quantpress/inline'"),
  });
  browser = await launch();
});

afterAll(async () => {
  await browser?.close();
  consumer?.remove();
});

/** What the page at an address logs first, whether that is the result or an error. */
async function firstLine(url: string): Promise<string> {
  const page = await browser.newPage();
  try {
    const line = Promise.race([
      page.waitForEvent('console', (message) => !message.text().startsWith('[vite]')).then((message) => message.text()),
      page.waitForEvent('pageerror').then((error) => error.message),
    ]);
    await page.goto(url);
    return await line;
  } finally {
    await page.close();
  }
}

test('Vite, building', async () => {
  const { build } = await import('vite');
  await build({ root: consumer.folder, logLevel: 'warn', build: { target: 'es2022' } });
  const server = await serve(join(consumer.folder, 'dist'));
  expect(await firstLine(server.url)).toMatch(printed);
  await server.close();
});

test('Vite, developing', async () => {
  const { createServer } = await import('vite');
  // As a developer has it, with its websocket: without one its page complains, now before and now after our line.
  const server = await createServer({ root: consumer.folder, logLevel: 'warn', server: { port: 0 } });
  await server.listen();
  expect(await firstLine(server.resolvedUrls?.local[0] ?? '')).toMatch(printed);
  await server.close();
});

test('esbuild, with the engine inside', async () => {
  const { build } = await import('esbuild');
  const bundled = join(consumer.folder, 'bundled');
  await build({
    entryPoints: [join(consumer.folder, 'inline.js')],
    outfile: join(bundled, 'main.js'),
    bundle: true,
    minify: true,
    format: 'esm',
    logLevel: 'warning',
  });
  const page = '<!doctype html><link rel="icon" href="data:,"><script type="module" src="/main.js"></script>';
  const server = await serve(bundled, { '/': { type: 'text/html', body: page } });
  expect(await firstLine(server.url)).toMatch(printed);
  await server.close();
});

test('no bundler: an import map and the folder of the package', async () => {
  const map = JSON.stringify({ imports: { quantpress: '/node_modules/quantpress/dist/browser.js' } });
  const body = `<!doctype html><link rel="icon" href="data:,"><script type="importmap">${map}</script>
    <script type="module">${example}</script>`;
  const server = await serve(consumer.folder, { '/bare/': { type: 'text/html', body } });
  expect(await firstLine(`${server.url}/bare/`)).toMatch(printed);
  await server.close();
});
