/**
 * The path of a new user: a new Vite app from its template, the command and the unchanged lines of the README, and a
 * quantized array in the page; then the guide's page, which shrinks a whole model in workers. No configuration.
 */

import { createHash } from 'node:crypto';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePort } from '../../tools/lib/webdriver.js';
import { launch } from '../browser/support/browser.js';
import { blocksOf } from '../js/support/pages.js';
import { WHALE, WHALE_SHA256 } from '../js/support/whale.js';
import { type Consumer, createConsumer, lend } from './support/consumer.js';
import { example, printed } from './support/example.js';

/** `npm create vite -- --template vanilla` without its own content. */
const APP = {
  'index.html': `<!doctype html>
<html lang="en">
  <head><meta charset="UTF-8" /><link rel="icon" href="data:," /><title>app</title></head>
  <body><div id="app"></div><script type="module" src="/src/main.js"></script></body>
</html>`,
  'src/main.js': example,
};

let app: Consumer;
let browser: Browser;

beforeAll(async () => {
  // `createConsumer` runs the README's `npm install` with the packed file instead of the name.
  expect(blocksOf('README.md').map(({ code }) => code.trim())).toContain('npm install quantpress');
  app = await createConsumer();
  lend(app, 'vite');
  app.write(APP);
  browser = await launch();
});

afterAll(async () => {
  await browser?.close();
  app?.remove();
});

const VITE = ['node_modules/vite/bin/vite.js'];

/** Runs one of Vite's servers while `look` runs. */
async function served(command: string, look: (url: string) => Promise<void>): Promise<void> {
  const port = await freePort();
  const args = [...VITE, command, '--port', String(port), '--strictPort', '--host', '127.0.0.1'];
  const server = spawn(process.execPath, args, { cwd: app.folder, stdio: ['ignore', 'ignore', 'inherit'] });
  const url = `http://127.0.0.1:${port}/`;
  try {
    await expect
      .poll(
        () =>
          fetch(url).then(
            ({ ok }) => ok,
            () => false,
          ),
        { timeout: 60_000 },
      )
      .toBe(true);
    await look(url);
  } finally {
    server.kill();
  }
}

/** The first line a page logs, except the server's own. */
async function firstLine(url: string): Promise<string> {
  const page = await browser.newPage();
  const line = Promise.race([
    page.waitForEvent('console', (message) => !message.text().startsWith('[vite]')).then((message) => message.text()),
    page.waitForEvent('pageerror').then((error) => error.message),
  ]);
  await page.goto(url);
  const text = await line;
  await page.close();
  return text;
}

test("the README's example has less than ten lines", () => {
  expect(example.split('\n').filter((line) => line.trim() !== '').length).toBeLessThan(10);
});

test('works in development', () => served('dev', async (url) => expect(await firstLine(url)).toMatch(printed)));

test('works when built', async () => {
  app.run(process.execPath, ...VITE, 'build', '--logLevel', 'warn');
  await served('preview', async (url) => expect(await firstLine(url)).toMatch(printed));
});

test("the guide's page, built, converts a whole model in workers", async () => {
  const [page] = blocksOf('docs/quick-start.md').filter(({ language }) => language === 'html');
  // The bundler replaces the import map.
  app.write({ 'index.html': page?.code.replace(/<script type="importmap">[\s\S]*?<\/script>/, '') ?? '' });
  app.run(process.execPath, ...VITE, 'build', '--logLevel', 'warn');
  await served('preview', async (url) => {
    const page = await browser.newPage();
    await page.goto(url);
    await page.waitForFunction('document.querySelector("input")?.onchange');
    await page.setInputFiles('input', WHALE);
    const link = page.getByRole('link', { name: 'Save' });
    const [download] = await Promise.all([page.waitForEvent('download'), link.click()]);
    const bytes = readFileSync(await download.path());
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(WHALE_SHA256.Q4_K_M);
    await page.close();
  });
  expect(readFileSync(join(app.folder, 'dist/index.html'), 'utf8')).not.toContain('importmap');
});
