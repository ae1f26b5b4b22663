/** A paused job resumes, even in another tab on another day, and writes the same file. */

import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import {
  download,
  inNode,
  openSlow,
  pressAtWork,
  SLOW,
  says,
  sha256,
  usePlayground,
  useSlowModel,
} from './support/playground.js';

const app = usePlayground();
const slow = useSlowModel();

/** Starts the job, and presses a button once some of it is done. */
async function startThen(page: Page, label: string): Promise<void> {
  await page.getByRole('button', { name: `Shrink to ${SLOW}` }).click();
  await pressAtWork(page, label);
}

async function stored(page: Page): Promise<string[]> {
  return page.evaluate(async () => {
    const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle('results', { create: true });
    const names: string[] = [];
    for await (const name of (folder as unknown as { keys(): AsyncIterable<string> }).keys()) names.push(name);
    return names.sort();
  });
}

test('a paused job resumes without repeating work and writes the same bytes', async () => {
  const { page } = app;
  await openSlow(page, slow);
  await startThen(page, 'Pause');
  await page.getByRole('button', { name: `Resume ${SLOW}` }).click();
  const { bytes } = await download(page);
  expect(sha256(bytes)).toBe(await inNode(SLOW, undefined, slow.path));
  await page.locator('.done dt', { hasText: 'Resumed' }).waitFor();
});

test('after a tab is closed during a job, another tab offers to resume it and does', async () => {
  const { browser, url } = app;
  const context = await browser.newContext();
  const first = await context.newPage();
  await first.goto(url);
  await openSlow(first, slow);
  await startThen(first, '');
  await first.close();
  const second = await context.newPage();
  await second.goto(url);
  await second.locator('.interrupted li', { hasText: `slow-${SLOW}.gguf, from slow-f16.gguf` }).waitFor();
  await second.getByRole('link', { name: 'Use its recipe' }).click();
  await second.getByLabel('Model file', { exact: true }).setInputFiles(slow.path);
  await second.getByRole('button', { name: `Resume ${SLOW}` }).click();
  const { bytes } = await download(second);
  expect(sha256(bytes)).toBe(await inNode(SLOW, undefined, slow.path));
  await second.locator('.done dt', { hasText: 'Resumed' }).waitFor();
  await expect.poll(() => second.locator('.interrupted').count()).toBe(0);
  await context.close();
});

test('a cancelled or discarded job leaves nothing', async () => {
  const { page } = app;
  await openSlow(page, slow);
  const start = page.getByRole('button', { name: `Shrink to ${SLOW}` });
  await startThen(page, 'Cancel');
  await start.waitFor();
  await expect.poll(() => stored(page)).toEqual([]);
  await startThen(page, 'Pause');
  await page.getByRole('button', { name: 'Discard' }).click();
  await start.waitFor();
  await expect.poll(() => stored(page)).toEqual([]);
});

test('the next tab removes the result of a closed tab', async () => {
  const { browser, url } = app;
  const context = await browser.newContext();
  const first = await context.newPage();
  await first.goto(url);
  await first.getByRole('button', { name: /^Shrink to/ }).click();
  await first.getByRole('link', { name: 'Save the file' }).waitFor();
  const beside = await context.newPage();
  await beside.goto(url);
  await beside.getByRole('button', { name: /^Shrink to/ }).waitFor();
  expect(await stored(beside)).toEqual(['tiny-whale-Q4_K_M.gguf']);
  await first.close();
  await beside.reload();
  await beside.getByRole('button', { name: /^Shrink to/ }).waitFor();
  await expect.poll(() => stored(beside)).toEqual([]);
  await context.close();
});

test('a lack of browser storage is reported before the work begins', async () => {
  const { page } = app;
  await page.evaluate(() => {
    navigator.storage.estimate = async () => ({ quota: 2_000_000, usage: 1_000_000 });
  });
  await page.getByRole('button', { name: 'Shrink to Q4_K_M' }).click();
  await says(page.getByRole('alert'), /The result has 2\.29 MB, and the browser has room for 1\.00 MB/);
  expect(await stored(page)).toEqual([]);
});
