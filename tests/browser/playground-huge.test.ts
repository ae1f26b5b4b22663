/**
 * The page at the limits of the format: 300 000 tensors, and metadata of 50 MB. The tests count the work of the main
 * thread.
 */

import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { ggufHeader, LLAMA, TYPE } from '../js/support/gguf.js';
import { says, useServed } from './support/playground.js';

const served = useServed();
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'quantpress-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** This many tensors have weights; the others are zeros, which take no space on disk. */
const FILLED = 4096;

/** A file of tensors with 512 F16 weights each. */
function sparse(name: string, metadata: typeof LLAMA, tensors: readonly string[]): string {
  const header = ggufHeader(
    metadata,
    tensors.map((name) => ({ name: `${name}.weight`, type: TYPE.F16, shape: [256, 2], size: 1024 })),
  );
  const path = join(folder, name);
  const file = openSync(path, 'w');
  writeSync(file, header);
  writeSync(
    file,
    Uint16Array.from({ length: 512 * Math.min(FILLED, tensors.length) }, (_, at) => 0x2c00 + ((at * 37) % 1021)),
  );
  ftruncateSync(file, header.length + 1024 * tensors.length);
  closeSync(file);
  return path;
}

/** The messages of the workers and the plans of the page's own thread, counted in the page. */
interface Counted {
  messages: number;
  /** The maximum number of objects in one message. */
  most: number;
  /** The maximum number of objects in one message to a worker. */
  sent: number;
  /** The maximum bytes of text in one message. */
  text: number;
  /** The number of plans made by workers. */
  plans: number;
}

function countMessages(): void {
  const counted: Counted = { messages: 0, most: 0, sent: 0, text: 0, plans: 0 };
  const size = (value: unknown, depth: number): number => {
    if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value) || value instanceof Blob) return 0;
    if (depth > 6) return 1;
    let sum = 1;
    for (const part of Object.values(value)) {
      sum += size(part, depth + 1);
      if (typeof part === 'string') counted.text = Math.max(counted.text, part.length);
    }
    return sum;
  };
  const Plain = globalThis.Worker;
  class Counting extends Plain {
    constructor(url: string | URL, options?: WorkerOptions) {
      super(url, options);
      this.addEventListener('message', ({ data }) => {
        counted.messages += 1;
        counted.plans += typeof data === 'object' && data !== null && 'codes' in data ? 1 : 0;
        counted.most = Math.max(counted.most, size(data, 0));
      });
    }
    override postMessage(message: unknown, transfer?: Transferable[] | StructuredSerializeOptions): void {
      counted.sent = Math.max(counted.sent, size(message, 0));
      super.postMessage(message, transfer as Transferable[]);
    }
  }
  Object.assign(globalThis, { Worker: Counting, counted });
}

const counted = (page: Page): Promise<Counted> =>
  page.evaluate(() => (globalThis as unknown as { counted: Counted }).counted);
const nodes = (page: Page) => page.evaluate(() => document.querySelectorAll('*').length);

async function openPage(path: string): Promise<Page> {
  const page = await served.browser.newPage();
  onTestFinished(() => page.close());
  page.on('crash', () => expect.fail('the tab has crashed'));
  await page.addInitScript(countMessages);
  await page.goto(served.url);
  await page.getByRole('button', { name: /^Shrink to/ }).waitFor();
  await page.getByLabel('Model file', { exact: true }).setInputFiles(path);
  return page;
}

test('300 000 tensors are opened, planned, listed and filtered with few DOM nodes and small messages', async () => {
  const count = 300_000;
  const names = Array.from({ length: count }, (_, at) => `blk.${Math.floor(at / 300)}.ffn_up.${at % 300}`);
  const page = await openPage(sparse('many.gguf', { ...LLAMA, 'llama.block_count': 1000 }, names));
  const tensors = page.locator('.tensors');
  await says(tensors.locator('.tools [aria-live]'), `${count} of ${count}`);
  expect(await nodes(page)).toBeLessThan(12_000);
  await page.goto(`${served.url}/#/?preset=Q3_K_S`);
  await says(page.locator('.verdict .line'), /^Q3_K_S: /);
  await tensors.locator('.scroll').evaluate((box) => box.scrollTo(0, box.scrollHeight));
  const rows = tensors.locator('tbody tr:not(.room)');
  await says(rows.last().locator('.name'), 'blk.999.ffn_up.99.weight');
  expect(await rows.count()).toBe(120);
  await tensors.getByRole('searchbox').fill('blk.999.');
  await says(tensors.locator('.tools [aria-live]'), `300 of ${count}`);
  await page.locator('.tensors select').selectOption('size, largest first');
  await says(rows.first().locator('.name'), /^blk\.999\.ffn_up\.\d+\.weight$/);
  expect(await nodes(page)).toBeLessThan(12_000);
  // Two plans and some outlines of 300 000 tensors: columns and a few objects, not one object per tensor.
  const { messages, most } = await counted(page);
  expect(messages).toBeGreaterThan(0);
  expect(most).toBeLessThan(5000);
  // Only the largest tensors are measured, so there is no best mix, and the page says so.
  await page.locator('.verdict', { hasText: 'Weight error' }).waitFor();
  const mix = page.getByLabel('the best mix of types');
  await mix.waitFor();
  await mix.check();
  await says(page.locator('.gain'), /only the largest are measured/);
});

test('the best mix of 1500 tensors is searched with small messages', async () => {
  const count = 1500;
  const names = Array.from({ length: count }, (_, at) => `blk.${Math.floor(at / 3)}.ffn_up.${at % 3}`);
  const page = await openPage(sparse('mix.gguf', { ...LLAMA, 'llama.block_count': 500 }, names));
  await says(page.locator('.tensors .tools [aria-live]'), `${count} of ${count}`);
  await page.getByLabel('the best mix of types').check();
  await page.getByRole('button', { name: 'Shrink to the best mix' }).waitFor();
  // The errors of every tensor in two dozen formats, and a rule for each tensor.
  const { sent, most } = await counted(page);
  expect(sent).toBeGreaterThan(100);
  expect(sent).toBeLessThan(5000);
  expect(most).toBeLessThan(5000);
});

test('a worker plans a model with 50 MB of metadata and sends none of it', async () => {
  const text = 'A long text. '.repeat(4_000_000);
  const names = ['token_embd', 'blk.0.attn_q', 'blk.0.attn_v', 'blk.0.ffn_down', 'output'];
  const page = await openPage(sparse('text.gguf', { ...LLAMA, 'general.description': text }, names));
  await says(page.locator('.drop strong'), 'text.gguf');
  await says(page.locator('.tensors .tools [aria-live]'), '5 of 5');
  await page.locator('.preset [value="Q8_0"]:enabled').check();
  await says(page.locator('.verdict .line'), /^Q8_0: /);
  // The presets and the recipe: in the main thread each plan would read the whole header again.
  await expect.poll(async () => (await counted(page)).plans).toBeGreaterThan(20);
  const { text: longest } = await counted(page);
  expect(longest).toBeLessThan(10_000);
  expect(await page.evaluate(() => document.documentElement.outerHTML.length)).toBeLessThan(1_000_000);
});
