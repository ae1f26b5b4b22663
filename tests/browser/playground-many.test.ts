/**
 * Models of many layers and of many tensors: the page stays as wide as its window, and renders only what is visible.
 */

import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { gguf, LLAMA, TYPE } from '../js/support/gguf.js';
import { layered } from './support/many.js';
import { expectNarrow, openFile, says, usePlayground, WIDTHS } from './support/playground.js';

const app = usePlayground();

/** Opens a model and waits until its last layer is in the map. */
async function openLayers(page: Page, layers: number): Promise<void> {
  const name = `layers-${layers}.gguf`;
  await openFile(page, { name, mimeType: '', buffer: layered(layers) }, name);
  await page.locator(`.heat [data-tensor="blk.${layers - 1}.attn_q.weight"]`).waitFor({ state: 'attached' });
}

test('no page of 1 to 128 layers scrolls sideways, at any width', async () => {
  const { page } = app;
  for (const layers of [1, 12, 13, 36, 94, 128]) {
    await openLayers(page, layers);
    await expectNarrow(page, `${layers} layers`);
  }
});

test('no page scrolls sideways because of long names', async () => {
  const { page } = app;
  // With `.weight` the 63 bytes that llama.cpp can read.
  const long = 'x'.repeat(41);
  const tensors = ['token_embd', `outside_${long}`, `blk.0.attn_q_${long}`, `blk.1.ffn_down_${long}`];
  const bytes = new Uint8Array(1024).fill(0x2c);
  const file = gguf(
    LLAMA,
    tensors.map((name) => ({ name: `${name}.weight`, type: TYPE.F16, shape: [256, 2], bytes })),
  );
  await openFile(page, { name: `${'x'.repeat(120)}.gguf`, mimeType: '', buffer: Buffer.from(file) }, /^x+/);
  await page.locator('.outside [data-tensor^="outside_"]').waitFor();
  await page.locator('.changes > summary').click();
  await page.getByRole('textbox', { name: /Pattern of tensor names/ }).fill(long);
  await page.getByRole('button', { name: 'Add', exact: true }).click();
  await page.locator('.outside [data-tensor^="outside_"]').click();
  await expectNarrow(page, 'long names');
});

// Visually hidden texts in columns far to the right of a scrolling box once made the page wide: a box without a
// position does not clip absolutely positioned elements.
test('a scrolling box clips visually hidden text at any position', async () => {
  const { page } = app;
  await openLayers(page, 36);
  for (const summary of await page.locator('.twin > summary').all()) await summary.click();
  await expect.poll(() => page.locator('.twin[open] table').count()).toBeGreaterThan(2);
  for (const width of WIDTHS) {
    await page.setViewportSize({ width, height: 800 });
    const { boxes, wide } = await page.evaluate(() => {
      const scrolls = (element: Element) => /auto|scroll/.test(getComputedStyle(element).overflowX);
      const boxes = [...document.querySelectorAll('main *')].filter(scrolls);
      const wide = boxes.filter((box) => {
        const hidden = document.createElement('span');
        hidden.className = 'visually-hidden';
        hidden.style.marginInlineStart = '5000px';
        hidden.textContent = 'far right';
        box.append(hidden);
        const { scrollWidth, clientWidth } = document.documentElement;
        hidden.remove();
        return scrollWidth > clientWidth;
      });
      return { boxes: boxes.length, wide: wide.map(({ tagName, className }) => `${tagName}.${className}`) };
    });
    expect(boxes).toBeGreaterThan(8);
    expect(wide, `${width} pixels`).toEqual([]);
  }
});

test('of thousands of tensors, only the visible rows are in the DOM', async () => {
  const { page } = app;
  await page.setViewportSize({ width: 1280, height: 900 });
  const kinds = Array.from({ length: 30 }, (_, expert) => `ffn_up.${expert}`);
  const buffer = layered(250, kinds);
  await openFile(page, { name: 'many.gguf', mimeType: '', buffer }, 'many.gguf');
  const tensors = page.locator('.tensors');
  await says(tensors.locator('.tools [aria-live]'), '7502 of 7502');
  const nodes = () => page.evaluate(() => document.querySelectorAll('*').length);
  const rows = tensors.locator('tbody tr:not(.room)');
  await expect.poll(() => rows.count()).toBe(120);
  await expect.poll(() => tensors.locator('table').getAttribute('aria-rowcount')).toBe('7503');
  expect(await nodes()).toBeLessThan(12_000);
  // The last row is rendered when it is scrolled to.
  await tensors.locator('.scroll').evaluate((box) => box.scrollTo(0, box.scrollHeight));
  await says(rows.last().locator('.name'), 'blk.249.ffn_up.9.weight');
  await expect.poll(() => rows.count()).toBe(120);
  await tensors.getByRole('searchbox').fill('blk.249.');
  await says(tensors.locator('.tools [aria-live]'), '30 of 7502');
  await says(rows.last().locator('.name'), 'blk.249.ffn_up.9.weight');
  // Layers share columns of the map, and the table below it renders only the visible rows.
  await expect.poll(() => page.locator('.heat thead th').count()).toBeLessThan(130);
  await page.locator('.heatmap .twin > summary').click();
  await expect.poll(() => page.locator('.heatmap .twin tbody tr:not(.room)').count()).toBe(120);
  expect(await nodes()).toBeLessThan(14_000);
  await page.getByRole('link', { name: 'Blocks' }).click();
  await page.getByRole('button', { name: 'From the open model' }).click();
  await expect.poll(() => page.getByLabel('Tensor', { exact: true }).locator('option').count()).toBeLessThan(250);
});

test('if all tensors are alike, the weight error of the model is that of each', async () => {
  const { page } = app;
  await openLayers(page, 36);
  await page.locator('.preset [value="Q8_0"]').check();
  await page.locator('.tensors select').selectOption('error, worst first');
  const row = page.locator('.tensors tbody tr').first();
  const error = row.locator('.number').last();
  await expect.poll(() => error.textContent()).toMatch(/%$/);
  await says(page.locator('.verdict .line'), new RegExp(`Weight error ${await error.textContent()} \\(RMS\\)`));
});
