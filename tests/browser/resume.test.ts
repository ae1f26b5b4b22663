/** A conversion into the browser's own storage outlasts the tab it runs in. */

import { readFileSync } from 'node:fs';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import type * as quantpress from 'quantpress';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WHALE, WHALE_SHA256 } from '../js/support/whale.js';
import { importIn, launch } from './support/browser.js';
import { type Server, serve } from './support/server.js';

let browser: Browser;
let server: Server;

beforeAll(async () => {
  server = await serve('dist', {
    '/': { type: 'text/html', body: '<!doctype html><link rel="icon" href="data:,"><title>Quantpress</title>' },
    '/whale.gguf': { type: 'application/octet-stream', body: readFileSync(WHALE) },
  });
  browser = await launch();
});

afterAll(async () => {
  await browser?.close();
  await server?.close();
});

interface Outcome {
  error?: { code?: string; message: string };
  sha256?: string;
  bytesResumed?: number;
  unfinished: boolean;
  files: string[];
}

async function tab(context: BrowserContext): Promise<Page> {
  const page = await context.newPage();
  await page.goto(server.url);
  return page;
}

/** Converts in a tab. It stops after `stay` tiles, so that the tab can be closed. */
async function run(page: Page, preset: quantpress.PresetName, { stay = Number.POSITIVE_INFINITY, resume = true } = {}) {
  const module = await importIn<typeof quantpress>(page, '/browser.js');
  return page.evaluate(
    async ([quantpress, preset, stay, resume]): Promise<Outcome> => {
      await quantpress.init();
      const file = new File([await (await fetch('/whale.gguf')).blob()], 'whale.gguf', { lastModified: 1 });
      const storage = await navigator.storage.getDirectory();
      const target = new quantpress.OpfsTarget(storage, 'out.gguf');
      const unfinished = await target.hasUnfinished();
      const model = await quantpress.openModel(file);
      const outcome: Partial<Outcome> = {};
      let tiles = 0;
      const { write } = target;
      target.write = (offset, bytes) => {
        if (tiles++ < stay) return write.call(target, offset, bytes);
        document.title = 'stays';
        return new Promise(() => {});
      };
      try {
        const report = await quantpress.quantizeModel(model, target, preset, { resume, workers: 2, hashes: true });
        outcome.bytesResumed = report.bytesResumed;
        const bytes = await (await (await storage.getFileHandle('out.gguf')).getFile()).arrayBuffer();
        const sum = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
        outcome.sha256 = [...sum].map((byte) => byte.toString(16).padStart(2, '0')).join('');
        if (report.sha256 !== outcome.sha256) throw new Error(`the report says ${report.sha256}`);
      } catch (error) {
        const { code, message } = error as quantpress.QuantpressError;
        outcome.error = { code, message };
      }
      const files: string[] = [];
      for await (const name of storage.keys()) files.push(name);
      return { ...outcome, unfinished, files: files.sort() };
    },
    [module, preset, stay, resume] as const,
  );
}

/** The number of lines in the journal that the other tab is writing. */
function journalLines(page: Page): Promise<number> {
  return page.evaluate(async () => {
    const handle = await (await navigator.storage.getDirectory()).getFileHandle('out.gguf.journal');
    return (await (await handle.getFile()).text()).split('\n').length - 1;
  });
}

test('after a tab is closed, the next tab resumes and writes the identical file', async () => {
  const context = await browser.newContext();
  const first = await tab(context);
  const closed = run(first, 'Q8_0', { stay: 15 }).catch(() => 'closed');
  await first.waitForFunction(() => document.title === 'stays');
  const second = await tab(context);
  // The journal is written some time after a tile: its first line identifies the job, each other line names a tile.
  await expect.poll(() => journalLines(second)).toBeGreaterThan(1);
  expect(await run(second, 'Q8_0')).toMatchObject({ error: { code: 'BUSY' } });
  await first.close();
  expect(await closed).toBe('closed');

  const refused = await run(second, 'Q6_K');
  expect(refused).toMatchObject({ error: { code: 'CHANGED' }, unfinished: true });
  expect(refused.files).toEqual(['out.gguf.journal', 'out.gguf.part']);
  const done = await run(second, 'Q8_0');
  expect(done).toMatchObject({ sha256: WHALE_SHA256.Q8_0, files: ['out.gguf'] });
  expect(done.bytesResumed).toBeGreaterThan(0);
  // Convert again from the start over the existing file.
  expect(await run(second, 'Q4_0', { resume: false })).toMatchObject({
    sha256: WHALE_SHA256.Q4_0,
    bytesResumed: 0,
    unfinished: false,
    files: ['out.gguf'],
  });
  await context.close();
});
