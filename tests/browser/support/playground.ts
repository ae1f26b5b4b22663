/** The served playground for a test file: a new page for each test, in which no error may occur. */

import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Locator, Page } from 'playwright-core';
import { init, MemoryTarget, openModel, quantizeModel, type Recipe } from 'quantpress';
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import { gguf, LLAMA, TYPE } from '../../js/support/gguf.js';
import { uniform } from '../../js/support/random.js';
import { launch, open } from './browser.js';
import { type Server, serve } from './server.js';

/** The page's built-in model. */
export const SAMPLE = 'tests/fixtures/tiny-whale/tiny-whale-f16.gguf';
/** Its importance matrix. */
export const IMATRIX = 'tests/fixtures/tiny-whale/tiny-whale.imatrix.gguf';

/** The built page on a server, and a browser, which the tests of a file share. */
export interface Served {
  readonly browser: Browser;
  readonly url: string;
}

/** With a new page for each test. */
export interface Playground extends Served {
  readonly page: Page;
  /** The errors of the page; a test that provokes one removes it. */
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

/** The package's result for a model in Node, which the tests in tests/js compare with llama.cpp. */
export async function inNode(recipe: Recipe | Recipe['preset'], imatrix?: string, path = SAMPLE): Promise<string> {
  const model = await openModel(path);
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

/**
 * Drops files or folders onto an element, as the system does (a drop that nobody takes opens them in the tab), and
 * waits until they are accepted. Tries again if a busy page moved in the meantime.
 */
export async function dropAt(page: Page, element: Locator, files: string[], taken: Locator): Promise<void> {
  const look = async () => {
    if ((await taken.count()) === 0) await dropOnce(page, element, files);
    return taken.count();
  };
  await expect.poll(look, { interval: 5_000 }).toBe(1);
}

async function dropOnce(page: Page, element: Locator, files: string[]): Promise<void> {
  await element.scrollIntoViewIfNeeded();
  const { x = 0, y = 0, width = 0, height = 0 } = (await element.boundingBox()) ?? {};
  const place = { x: x + width / 2, y: y + height / 2 };
  const session = await page.context().newCDPSession(page);
  for (const type of ['dragEnter', 'dragOver', 'drop'] as const) {
    await session.send('Input.dispatchDragEvent', {
      type,
      ...place,
      data: { items: [], files, dragOperationsMask: 1 },
    });
  }
  await session.detach();
}

/** Waits until every weight of the model was measured. */
export async function measured(page: Page): Promise<void> {
  await page.locator('.verdict', { hasText: 'measured on all of them' }).waitFor();
}

/** Opens files in the page, and waits until they are the open model. */
export async function openFile(
  page: Page,
  files: string | string[] | { name: string; mimeType: string; buffer: Buffer },
  name: string | RegExp,
): Promise<void> {
  await page.getByLabel('Model file', { exact: true }).setInputFiles(files);
  await page.locator('.drop strong', { hasText: name }).waitFor();
}

/** Waits until the text of an element matches. */
export async function says(element: Locator, text: string | RegExp): Promise<void> {
  await expect
    .poll(async () => (await element.textContent())?.trim())
    .toEqual(text instanceof RegExp ? expect.stringMatching(text) : text);
}

/** The widths of windows that pages are tested at. */
export const WIDTHS = [320, 375, 768, 1280];

/** How much wider the page is than its window. */
const excess = (page: Page) =>
  page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

/** Expects that the page does not scroll sideways, at any width. */
export async function expectNarrow(page: Page, what: string): Promise<void> {
  for (const width of WIDTHS) {
    await page.setViewportSize({ width, height: 800 });
    await expect.poll(() => excess(page), { message: `${what}, ${width} pixels` }).toBeLessThanOrEqual(0);
  }
}

/** A slow preset. */
export const SLOW = 'IQ3_S';

/** A model of 34 million weights: {@link SLOW} takes seconds on any machine, enough to act during the job. */
export function useSlowModel(): { readonly path: string } {
  let folder: string;
  const path = () => join(folder, 'slow-f16.gguf');
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'quantpress-'));
    const random = uniform(1);
    // F16 weights of either sign between 2^-6 and 2^-3.
    const halves = Uint16Array.from(
      { length: 2 ** 23 },
      () => (0x2400 + random() * 0x0c00) | (random() < 0.5 ? 0x8000 : 0),
    );
    const bytes = new Uint8Array(halves.buffer);
    const names = ['attn_q', 'attn_output', 'ffn_gate', 'ffn_up'].map((name) => `blk.0.${name}.weight`);
    const tensors = names.map((name) => ({ name, type: TYPE.F16, shape: [2048, 4096], bytes }));
    await writeFile(path(), gguf(LLAMA, tensors));
  });
  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
  });
  return {
    get path() {
      return path();
    },
  };
}

/** Opens the slow model and chooses the slow preset. */
export async function openSlow(page: Page, { path }: { path: string }): Promise<void> {
  await openFile(page, path, 'slow-f16.gguf');
  await page.locator(`.preset [value="${SLOW}"]:enabled`).check();
}

/** Presses a button once some of the running job is done, from within the page, because the job does not wait. */
export async function pressAtWork(page: Page, label: string): Promise<void> {
  await page.evaluate(async (label) => {
    while ((document.querySelector('progress')?.value ?? 0) < 0.1) await new Promise(requestAnimationFrame);
    [...document.querySelectorAll('button')].find((button) => button.textContent === label)?.click();
  }, label);
}
