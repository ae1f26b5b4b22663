/** A Hugging Face folder, from opening to running, for every converted family. */

import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { quantpress } from '../js/support/cli.js';
import { GOLDEN_NAMES, goldenFolder, whaleFolder } from '../js/support/hugging-face.js';
import { dropAt, download, inNode, measured, sha256, usePlayground } from './support/playground.js';

const app = usePlayground();
let parent: string;
let whale: string;

beforeAll(async () => {
  parent = await mkdtemp(join(tmpdir(), 'quantpress-'));
  whale = await whaleFolder(parent);
});
afterAll(() => rm(parent, { recursive: true, force: true }));

async function openFolder(page: Page, path: string): Promise<void> {
  await page.getByLabel('Folder of a model').setInputFiles(path);
  await page.locator('.drop strong').getByText(basename(path), { exact: true }).waitFor();
}

const command = async (page: Page, label: string): Promise<string> =>
  (await page.locator('.copyable', { hasText: label }).locator('code').textContent()) ?? '';

test('a folder is measured, shrunk, saved under its name, and compared in llama.cpp with its unquantized conversion', async () => {
  const { page } = app;
  await openFolder(page, whale);
  await measured(page);
  // Figures of the converted model's tensors, including those with permuted rows.
  for (const name of ['output.weight', 'blk.0.attn_q.weight', 'blk.1.attn_k.weight']) {
    const cell = page.locator(`.heatmap [data-tensor="${name}"]`);
    await expect.poll(() => cell.getAttribute('aria-label')).toMatch(/ dB/);
  }
  await page.locator('.preset [value="Q2_K"]').check();
  await page.getByRole('button', { name: 'Shrink to Q2_K', exact: true }).click();
  const { name, bytes } = await download(page);
  expect(name).toBe('tiny-whale-hf-Q2_K.gguf');
  expect(sha256(bytes)).toBe(await inNode('Q2_K', undefined, whale));

  // The copied command writes the same file from the folder.
  const work = join(parent, 'work');
  await mkdir(work);
  const line = (await command(page, 'For the command line')).split(' ');
  expect(line).toEqual(['npx', 'quantpress', 'quantize', 'tiny-whale-hf', 'tiny-whale-hf-Q2_K.gguf', 'Q2_K']);
  const { code } = await quantpress(['quantize', whale, ...line.slice(4)], work);
  expect(code).toBe(0);
  expect(sha256(await readFile(join(work, name)))).toBe(sha256(bytes));
  // llama.cpp's tools need two steps for a folder.
  expect((await command(page, 'For llama.cpp')).split('\n')).toEqual([
    'python convert_hf_to_gguf.py tiny-whale-hf --outtype f16 --outfile tiny-whale-hf-f16.gguf',
    'llama-quantize tiny-whale-hf-f16.gguf tiny-whale-hf-Q2_K.gguf Q2_K',
  ]);

  await page.getByRole('button', { name: 'Load llama.cpp' }).click();
  await page.getByRole('button', { name: 'Try both' }).click();
  const scored = page.locator('.agreement dd').last();
  await expect
    .poll(async () => Number((await scored.textContent().catch(() => ''))?.split(' ')[0]))
    .toBeGreaterThan(20);
  await page.getByRole('button', { name: 'Stop' }).click();
  await page.getByRole('button', { name: 'Try both' }).waitFor();
  const sides = await page.locator('.sides p').allTextContents();
  expect(sides.map((side) => /^The whale turned toward the boat, and.+/s.test(side))).toEqual([true, true]);
  expect(await page.locator('.sides figcaption').allTextContents()).toEqual(['tiny-whale-hf', name]);
});

test('every model family is converted, and is run or reported as unable to generate text', async () => {
  const { page } = app;
  for (const family of GOLDEN_NAMES) {
    const path = goldenFolder(parent, family);
    await openFolder(page, path);
    await expect.poll(() => page.getByText(/Measuring/).count(), { message: family }).toBe(0);
    await page.getByRole('button', { name: 'Shrink to Q4_K_M', exact: true }).click();
    const { name, bytes } = await download(page);
    expect(name).toBe(`${family}-Q4_K_M.gguf`);
    expect(sha256(bytes), family).toBe(await inNode('Q4_K_M', undefined, path));
    const ways = [
      await page.getByRole('button', { name: 'Load llama.cpp' }).count(),
      await page.getByText('This model makes embeddings or scores, not text').count(),
    ];
    expect(ways, family).toEqual(/bert|rerank|ranker/i.test(family) ? [0, 1] : [1, 0]);
  }
});

test('a folder dropped outside the box opens as the same model, including its subfolders', async () => {
  const { page } = app;
  const path = goldenFolder(await mkdtemp(join(parent, 'dropped-')), 'mini-bert-L2-v1');
  const opened = page.locator('.drop strong').getByText('mini-bert-L2-v1', { exact: true });
  await dropAt(page, page.getByRole('contentinfo'), [path], opened);
  await page.getByRole('button', { name: 'Shrink to Q4_K_M', exact: true }).click();
  const { name, bytes } = await download(page);
  expect(name).toBe('mini-bert-L2-v1-Q4_K_M.gguf');
  expect(sha256(bytes)).toBe(await inNode('Q4_K_M', undefined, path));
});

test('a worker that opens the folder finds its best mix', async () => {
  const { page } = app;
  await openFolder(page, whale);
  await measured(page);
  await page.getByLabel('the best mix of types').check();
  await page.getByRole('button', { name: 'Shrink to the best mix' }).click();
  const { bytes } = await download(page);
  const recipe = JSON.parse(await command(page, 'As JSON'));
  expect(sha256(bytes)).toBe(await inNode(recipe, undefined, whale));
});
