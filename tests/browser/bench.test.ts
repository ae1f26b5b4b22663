/**
 * The accuracy benchmark in a page: a classifier is trained, quantized and trained again, with the same figures as in
 * Node.
 */

import type { Browser } from 'playwright-core';
import * as quantpress from 'quantpress';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { importIn, launch, open } from './support/browser.js';
import { type Server, serve } from './support/server.js';

let browser: Browser;
let server: Server;

beforeAll(async () => {
  await quantpress.init();
  server = await serve('dist', {
    '/': { type: 'text/html', body: '<!doctype html><link rel="icon" href="data:,"><title>Digits</title>' },
  });
  browser = await launch();
});

afterAll(async () => {
  await browser?.close();
  await server?.close();
});

test('training, quantization and retraining on the digits give the same result in Chromium as in Node', async () => {
  const { page, problems } = await open(browser, server.url);
  const module = await importIn<typeof quantpress>(page, '/browser.js');
  const inPage = await page.evaluate(async ({ init, runAccuracyBenchmark }) => {
    await init();
    return runAccuracyBenchmark();
  }, module);
  expect(inPage).toEqual(await quantpress.runAccuracyBenchmark());
  // Every calibration method and QAT, at 8 to 2 bits.
  expect(inPage.ptq.length).toBe(7 * quantpress.calibrationMethods().length);
  expect(inPage.qat.map(({ bits }) => bits)).toEqual([8, 7, 6, 5, 4, 3, 2]);
  expect(problems).toEqual([]);
});
