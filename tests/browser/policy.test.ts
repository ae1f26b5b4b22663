/** The package in pages with a restrictive Content-Security-Policy. */

import { readFileSync } from 'node:fs';
import type { Browser } from 'playwright-core';
import type * as quantpress from 'quantpress';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WHALE, WHALE_SHA256 } from '../js/support/whale.js';
import { importIn, launch, open } from './support/browser.js';
import { type Server, serve } from './support/server.js';

const page = (policy: string) => ({
  type: 'text/html',
  body: `<!doctype html><meta http-equiv="Content-Security-Policy" content="${policy}"><link rel="icon" href="data:,">`,
});

let browser: Browser;
let server: Server;

beforeAll(async () => {
  server = await serve('dist', {
    '/own-workers': page("script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'"),
    '/no-wasm': page("script-src 'self'"),
    '/whale.gguf': { type: 'application/octet-stream', body: readFileSync(WHALE) },
  });
  browser = await launch();
});

afterAll(async () => {
  await browser?.close();
  await server?.close();
});

test("quantpress/inline runs without workers under worker-src 'self', and writes the same file", async () => {
  const { page } = await open(browser, `${server.url}/own-workers`);
  const module = await importIn<typeof import('quantpress/inline')>(page, '/inline.js');
  const result = await page.evaluate(async ({ init, MemoryTarget, openModel, quantizeModel }) => {
    await init();
    const bytes = new Uint8Array(await (await fetch('/whale.gguf')).arrayBuffer());
    const hashes: string[] = [];
    // This thread reads bytes and sends them to workers; workers read a Blob themselves.
    for (const input of [bytes, new Blob([bytes])]) {
      const model = await openModel(input);
      const target = new MemoryTarget();
      await quantizeModel(model, target, 'Q4_K_M', { workers: 2 });
      const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', target.bytes));
      hashes.push(Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join(''));
    }
    const refused = new Promise<string>((resolve) => {
      document.addEventListener('securitypolicyviolation', ({ effectiveDirective }) => resolve(effectiveDirective));
    });
    new Worker(URL.createObjectURL(new Blob([''])), { type: 'module' }).onerror = () => {};
    return { hashes, refused: await refused };
  }, module);
  // The policy is enforced: workers are not allowed.
  expect(result).toEqual({ hashes: [WHALE_SHA256.Q4_K_M, WHALE_SHA256.Q4_K_M], refused: 'worker-src' });
  await page.close();
});

test.each(['/browser.js', '/inline.js'])(
  '%s names the directive that a policy without wasm-unsafe-eval lacks',
  async (entry) => {
    const { page } = await open(browser, `${server.url}/no-wasm`);
    const module = await importIn<typeof quantpress>(page, entry);
    const error = await page.evaluate(async ({ init, QuantpressError }) => {
      try {
        return await init();
      } catch (error) {
        if (!(error instanceof QuantpressError)) return String(error);
        return { code: error.code, message: error.message };
      }
    }, module);
    expect(error).toEqual({
      code: 'DENIED',
      message:
        "the page's Content-Security-Policy forbids WebAssembly. Add 'wasm-unsafe-eval' to its script-src directive",
    });
    await page.close();
  },
);
