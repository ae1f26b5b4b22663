/** The playground as it is served, for a file of tests: a fresh page for each, and nothing in it may go wrong. */

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Browser, Page } from 'playwright-core';
import { init, MemoryTarget, openModel, quantizeModel, type Recipe } from 'quantpress';
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import { launch, open } from './browser.js';
import { type Server, serve } from './server.js';

/** The page's built-in model. */
export const SAMPLE = 'tests/fixtures/tiny-whale/tiny-whale-f16.gguf';
/** Its importance matrix. */
export const IMATRIX = 'tests/fixtures/tiny-whale/tiny-whale.imatrix.gguf';

/** The built page on a server, and a browser: what the tests of a file share. */
export interface Served {
  readonly browser: Browser;
  readonly url: string;
}

/** With a fresh page for each test. */
export interface Playground extends Served {
  readonly page: Page;
  /** What went wrong in the page; a test that provokes something takes it out. */
  readonly problems: string[];
}

/** Serves the built page to tests that open it themselves. */
export function useServed(): Served {
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
  return {
    get browser() {
      return browser;
    },
    get url() {
      return server.url;
    },
  };
}

/** Serves the built page, and opens a view of it before each test, until it is ready to be used. */
export function usePlayground(view = '', ready = untilShrinkable): Playground {
  const served = useServed();
  let opened: Awaited<ReturnType<typeof open>>;
  beforeEach(async () => {
    opened = await open(served.browser, served.url + view);
    await ready(opened.page);
  });
  afterEach(async () => {
    expect(opened.problems).toEqual([]);
    await opened.page.close();
  });
  return {
    get page() {
      return opened.page;
    },
    get problems() {
      return opened.problems;
    },
    get browser() {
      return served.browser;
    },
    get url() {
      return served.url;
    },
  };
}

async function untilShrinkable(page: Page): Promise<void> {
  await page.getByRole('button', { name: /^Shrink to/ }).waitFor();
}

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** What the package makes of the sample in Node: itself held against the live llama.cpp by the tests in tests/js. */
export async function inNode(recipe: Recipe | string, imatrix?: string): Promise<string> {
  const model = await openModel(SAMPLE);
  const target = new MemoryTarget();
  const matrix = imatrix && new File([await readFile(imatrix)], imatrix.split('/').pop() ?? '');
  await quantizeModel(model, target, recipe, { workers: 0, ...(matrix && { imatrix: matrix }) });
  await model.close();
  return sha256(target.bytes ?? new Uint8Array(0));
}

/** Clicks until the file is saved. */
export async function download(page: Page): Promise<{ name: string; bytes: Buffer }> {
  const arriving = page.waitForEvent('download');
  await page.getByRole('link', { name: 'Save the file' }).click();
  const file = await arriving;
  return { name: file.suggestedFilename(), bytes: await readFile(await file.path()) };
}

/** Waits until every weight of the model was measured. */
export async function measured(page: Page): Promise<void> {
  await page.getByText('measured on all of them').waitFor();
}
