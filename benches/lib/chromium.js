/** A page in headless Chromium for measurements. */

import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { chromium as launcher } from 'playwright-core';
import { chromium, FLAGS } from '../../tools/lib/chromium.js';
import { root } from './record.js';

/** @type {Record<string, string>} */
const TYPES = { '.js': 'text/javascript', '.wasm': 'application/wasm', '.gguf': 'application/octet-stream' };

/**
 * Opens an empty page that can import and fetch the project's files by their paths.
 * @returns {Promise<{ page: import('playwright-core').Page, version: string, close(): Promise<void> }>}
 */
export async function openPage() {
  const server = createServer(async ({ url = '/' }, response) => {
    const path = new URL(url, 'http://localhost').pathname;
    if (path === '/') return void response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html>');
    const body = await readFile(join(root, path)).catch(() => undefined);
    if (!body) return void response.writeHead(404).end();
    response.writeHead(200, { 'content-type': TYPES[extname(path)] ?? 'text/plain' }).end(body);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  const browser = await launcher.launch({ executablePath: await chromium(), args: FLAGS });
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${address.port}/`);
  const close = async () => {
    await browser.close();
    server.close();
  };
  return { page, version: browser.version(), close };
}
