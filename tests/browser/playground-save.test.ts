/**
 * Saves the result directly to a file that the user selects. Tests cannot operate the system's dialog: the page gets a
 * file in the browser's own storage as the selected one, and everything after that is real.
 */

import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import {
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

const BUTTON = 'Save directly to a file…';

/** Answers the dialog with a file that has these bytes, with a new one, or with an error. */
async function answer(page: Page, with_: { content?: number[] } | { error: string }): Promise<void> {
  await page.evaluate(async (with_) => {
    const scope = globalThis as unknown as { showSaveFilePicker: unknown; suggested: string[] };
    scope.suggested = [];
    scope.showSaveFilePicker = async ({ suggestedName }: { suggestedName: string }) => {
      scope.suggested.push(suggestedName);
      if ('error' in with_) throw new DOMException('made up', with_.error);
      const file = await (await navigator.storage.getDirectory()).getFileHandle('chosen.gguf', { create: true });
      const stream = await file.createWritable();
      await stream.write(Uint8Array.from(with_.content ?? []));
      await stream.close();
      return file;
    };
  }, with_);
}

/** The contents of the selected file; `undefined` if there is none. */
async function chosen(page: Page): Promise<Buffer | undefined> {
  const text = await page.evaluate(async () => {
    try {
      const file = await (await navigator.storage.getDirectory()).getFileHandle('chosen.gguf');
      const bytes = new Uint8Array(await (await file.getFile()).arrayBuffer());
      let text = '';
      for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
      return btoa(text);
    } catch {
      return undefined;
    }
  });
  return text === undefined ? undefined : Buffer.from(text, 'base64');
}

/** Starts a slow job and cancels it while it is running. */
async function startThenCancel(page: Page): Promise<void> {
  await openSlow(page, slow);
  await page.getByRole('button', { name: BUTTON }).click();
  await pressAtWork(page, 'no button');
  // There is nothing to resume.
  await expect.poll(() => page.getByRole('button', { name: 'Pause' }).count()).toBe(0);
  await pressAtWork(page, 'Cancel');
  await page.getByRole('button', { name: `Shrink to ${SLOW}` }).waitFor();
}

test("the saved file equals the command line's, and the screen stays on during the job", async () => {
  const { page } = app;
  await answer(page, {});
  await page.evaluate(() => {
    const log: string[] = [];
    Object.assign(globalThis, { log });
    navigator.wakeLock.request = async (kind) => {
      log.push(`${kind} on`);
      return { release: async () => void log.push('off') } as unknown as WakeLockSentinel;
    };
  });
  await page.getByRole('button', { name: BUTTON }).click();
  await page.locator('.done', { hasText: 'It is in the file you chose.' }).waitFor();
  const sum = await inNode('Q4_K_M');
  expect(sha256((await chosen(page)) ?? Buffer.alloc(0))).toBe(sum);
  await says(page.locator('.shrink .hash'), sum);
  expect(await page.evaluate(() => (globalThis as unknown as { suggested: string[] }).suggested)).toEqual([
    'tiny-whale-Q4_K_M.gguf',
  ]);
  expect(await page.evaluate(() => (globalThis as unknown as { log: string[] }).log)).toEqual(['screen on', 'off']);
  // The file is already in its place: there is nothing to download.
  await expect.poll(() => page.getByRole('link', { name: 'Save the file' }).count()).toBe(0);
});

test('dismissing the dialog changes nothing and shows no message', async () => {
  const { page } = app;
  await answer(page, { error: 'AbortError' });
  await page.getByRole('button', { name: BUTTON }).click();
  await page.waitForFunction(() => (globalThis as unknown as { suggested: string[] }).suggested.length === 1);
  await page.getByRole('button', { name: 'Shrink to Q4_K_M' }).waitFor();
  await expect.poll(() => page.getByRole('alert').count()).toBe(0);
});

test('a dialog that the browser refuses shows a message', async () => {
  const { page } = app;
  await answer(page, { error: 'SecurityError' });
  await page.getByRole('button', { name: BUTTON }).click();
  await says(page.getByRole('alert'), /Made up\./);
});

test('cancelling removes a new file', async () => {
  const { page } = app;
  await answer(page, {});
  await startThenCancel(page);
  expect(await chosen(page)).toBeUndefined();
});

test('cancelling leaves an existing file unchanged', async () => {
  const { page } = app;
  await answer(page, { content: [1, 2, 3] });
  await startThenCancel(page);
  expect(await chosen(page)).toEqual(Buffer.from([1, 2, 3]));
});

test('a file that cannot be written shows an error that says what to do', async () => {
  const { page } = app;
  await answer(page, { content: [1, 2, 3] });
  await page.evaluate(() => {
    const { prototype } = FileSystemFileHandle;
    const { createWritable } = prototype;
    let times = 0;
    prototype.createWritable = function (options) {
      times += 1;
      // The first is the dialog's own.
      if (times > 1) throw new DOMException('the disk is full', 'QuotaExceededError');
      return createWritable.call(this, options);
    };
  });
  await page.getByRole('button', { name: BUTTON }).click();
  await says(page.getByRole('alert'), /Free some space, or save to another disk\./);
  expect(await chosen(page)).toEqual(Buffer.from([1, 2, 3]));
});
