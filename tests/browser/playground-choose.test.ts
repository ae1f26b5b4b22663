/** A recipe can be changed, compared and shared, and gives the same bytes elsewhere. */

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Recipe } from 'quantpress';
import { expect, onTestFinished, test } from 'vitest';
import { quantpress } from '../js/support/cli.js';
import { download, inNode, measured, SAMPLE, says, sha256, usePlayground, WIDTHS } from './support/playground.js';

const app = usePlayground();

/** Splits a command like a shell, as far as the page's commands need. */
function words(command: string): string[] {
  return [...command.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '');
}

async function taken(label: string): Promise<string> {
  return (await app.page.locator('.copyable', { hasText: label }).locator('code').textContent()) ?? '';
}

/** Changes the recipe: a rule, a type for one tensor, and an option. */
async function change(): Promise<void> {
  const { page } = app;
  await measured(page);
  await page.locator('.changes > summary').click();
  await page.getByLabel('Pattern of tensor names, a regular expression').fill('attn_v|blk\\.3\\.ffn_(up|down)');
  await page.getByLabel('Type of these tensors').selectOption('Q8_0');
  await page.getByRole('button', { name: 'Add', exact: true }).click();
  await says(page.locator('.changes li span'), 'Q8_0, 6 tensors');
  await page.locator('.heatmap [data-tensor="blk.1.attn_q.weight"]').click();
  await page.locator('.types [value="Q6_K"]').check();
  await page.locator('.options > summary').click();
  await page.locator('.field', { hasText: 'Output tensor' }).locator('select').selectOption('Q5_K');
  await says(page.locator('.recipe .sum strong'), 'Q4_K_M with 3 changes');
}

test('a custom recipe gives the same file in the page, in the library and on the command line', async () => {
  const { page } = app;
  await change();
  await page.getByRole('button', { name: 'Shrink to Q4_K_M with 3 changes' }).click();
  const { name, bytes } = await download(page);
  expect(name).toBe('tiny-whale-Q4_K_M-mix.gguf');
  const recipe = JSON.parse(await taken('As JSON')) as Recipe;
  expect(sha256(bytes)).toBe(await inNode(recipe));

  const folder = await mkdtemp(join(tmpdir(), 'quantpress-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const line = words(await taken('For the command line'));
  expect(line.slice(0, 3)).toEqual(['npx', 'quantpress', 'quantize']);
  const at = line.indexOf('tiny-whale-f16.gguf');
  line[at] = join(process.cwd(), SAMPLE);
  const { code, stderr } = await quantpress(line.slice(2), folder);
  expect([code, stderr.includes('error')]).toEqual([0, false]);
  expect(sha256(await readFile(join(folder, name)))).toBe(sha256(bytes));

  // The same arguments for llama.cpp's tool, which writes the same bytes.
  expect(words(await taken('For llama.cpp')).slice(1)).toEqual(words(await taken('For the command line')).slice(3));
});

test('the link contains the recipe and no file name', async () => {
  const { page, browser } = app;
  await change();
  const link = await taken('As a link');
  expect(new URL(link).hash).toBe(new URL(page.url()).hash);
  expect(link).not.toContain('whale');
  const recipe = await taken('As JSON');
  const other = await browser.newPage();
  await other.goto(link);
  await other.getByRole('button', { name: 'Shrink to Q4_K_M with 3 changes' }).waitFor();
  const there = other.locator('.copyable', { hasText: 'As JSON' }).locator('code');
  await expect.poll(async () => JSON.parse((await there.textContent()) ?? '')).toEqual(JSON.parse(recipe));
  await other.close();
});

test('the link to a best mix is short and opens as the best mix', async () => {
  const { page, browser } = app;
  await measured(page);
  await page.getByLabel('the best mix of types').check();
  await page.getByRole('button', { name: 'Shrink to the best mix' }).waitFor();
  const link = await taken('As a link');
  expect(link.length).toBeLessThan(500);
  const recipe = JSON.parse(await taken('As JSON')) as Recipe;
  const other = await browser.newPage();
  await other.goto(link);
  await other.getByRole('button', { name: 'Shrink to the best mix' }).waitFor();
  await says(other.locator('.recipe .sum strong'), 'the best mix');
  const there = other.locator('.copyable', { hasText: 'As JSON' }).locator('code');
  const sorted = ({ tensorTypes = [], ...rest }: Recipe) => [
    rest,
    [...tensorTypes].sort((a, b) => (a.pattern < b.pattern ? -1 : 1)),
  ];
  expect(sorted(JSON.parse((await there.textContent()) ?? '') as Recipe)).toEqual(sorted(recipe));
  const size = await page.locator('.recipe .sum .number').textContent();
  await says(other.locator('.recipe .sum .number'), size ?? '');
  await other.close();
});

test('a damaged link shows what is wrong with it', async () => {
  const { page, url } = app;
  await page.goto(`${url}/#/?preset=Q9_Z`);
  await says(page.locator('.recipe .sum strong'), 'Q9_Z');
  await page.locator('.side .note', { hasText: 'Q9_Z' }).waitFor();
  await expect.poll(() => page.getByRole('button', { name: /^Shrink to/ }).isDisabled()).toBe(true);
  await page.locator('.preset [value="Q6_K"]').check();
  await page.getByRole('button', { name: 'Shrink to Q6_K' }).waitFor();
});

test('two recipes are compared side by side', async () => {
  const { page } = app;
  await measured(page);
  await page.getByRole('button', { name: 'Keep Q4_K_M to compare' }).click();
  await page.locator('.preset [value="Q5_K_M"]').check();
  const table = page.getByRole('region', { name: 'Two recipes side by side' });
  const [head, size] = [table.getByRole('row', { name: /^Figure/ }), table.getByRole('row', { name: /^Size/ })];
  await expect.poll(() => head.getByRole('columnheader').allInnerTexts()).toEqual(['Figure', 'Q4_K_M', 'Q5_K_M']);
  await expect.poll(() => size.getByRole('cell').allInnerTexts()).toEqual(['2.29 MB', '2.66 MB']);
  await table.locator('summary', { hasText: 'tensors differ' }).waitFor();
  // On a phone too both are in view, without scrolling the table.
  const figures = page.locator('.compare > .scroll');
  for (const width of WIDTHS) {
    await page.setViewportSize({ width, height: 800 });
    await expect.poll(() => figures.evaluate((box) => box.scrollWidth - box.clientWidth)).toBeLessThanOrEqual(0);
  }
  await page.getByRole('button', { name: 'Swap' }).click();
  await page.getByRole('button', { name: 'Shrink to Q4_K_M' }).waitFor();
  // The URL contains both.
  await expect.poll(() => new URLSearchParams(new URL(page.url()).hash.slice(3)).get('vs')).toBe('preset=Q5_K_M');
});

test('the selected preset stays in view when the result makes the list shorter', async () => {
  const { page } = app;
  await page.setViewportSize({ width: 1280, height: 800 });
  const list = page.locator('.presets');
  await measured(page);
  await page.locator('.preset [value="Q4_0"]').check();
  const height = await list.evaluate((box) => box.clientHeight);
  await page.getByRole('button', { name: 'Shrink to Q4_0' }).click();
  await page.getByRole('link', { name: 'Save the file' }).waitFor();
  await expect.poll(() => list.evaluate((box) => box.clientHeight)).toBeLessThan(height);
  const isInside = (box: HTMLElement | SVGElement) => {
    const [outer, row] = [box, box.querySelector('.preset:has(:checked)') ?? box].map((of) =>
      of.getBoundingClientRect(),
    );
    return outer && row && row.top >= outer.top && row.bottom <= outer.bottom;
  };
  await expect.poll(() => list.evaluate(isInside)).toBe(true);
});

test('the recipe of a link is shown as selected, and its button is in view', async () => {
  const { page, browser, url } = app;
  const other = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  await other.goto(`${url}/#/?preset=Q4_K_M&type=ffn_down=Q6_K&output=Q8_0`);
  const start = other.getByRole('button', { name: 'Shrink to Q4_K_M with 2 changes' });
  await start.waitFor();
  await other.locator('.options > summary').click();
  const output = other.locator('.field', { hasText: 'Output tensor' }).locator('select');
  await expect.poll(() => output.inputValue()).toBe('Q8_0');
  await other.locator('.heatmap').scrollIntoViewIfNeeded();
  const box = await start.boundingBox();
  expect(box && box.y >= 0 && box.y + box.height <= 800).toBe(true);
  await other.close();
  await page.bringToFront();
});
