/** The block view with user input: mouse, keyboard, numbers, a block of a model. */

import type { Page } from 'playwright-core';
import {
  dequantize,
  formats,
  generateGaussianWeights,
  MemoryTarget,
  openModel,
  quantize,
  quantizeModel,
} from 'quantpress';
import { beforeEach, expect, test } from 'vitest';
import { openFile, says, usePlayground } from './support/playground.js';

const app = usePlayground('/#/blocks', async (page) => {
  await page.setViewportSize({ width: 1280, height: 900 });
  await page.locator('[data-i="143"]').waitFor();
});

let page: Page;

beforeEach(() => {
  page = app.page;
});

/** The bytes shown by the page. */
const shown = async (): Promise<number[]> =>
  (await page.locator('.byte').allTextContents()).map((text) => Number.parseInt(text, 16));
/** A weight in the table. */
async function weight(index: number, column: 'Before' | 'After'): Promise<number> {
  const cells = page.locator('.twin tbody tr').nth(index).locator('td');
  return Number((await cells.nth(column === 'Before' ? 0 : 1).textContent())?.replace('−', '-'));
}
const near = (value: number): number => Number(value.toPrecision(5));

test('every format shows the bytes that the engine encodes from the same weights', async () => {
  const weights = generateGaussianWeights(256, 0, 1, 1);
  for (const { name, weights: count, bytes, canEncode, needsImportance } of formats()) {
    await page.locator('.formats').getByRole('radio', { name, exact: true }).check({ force: true });
    await expect.poll(() => page.locator('.byte').count(), { message: name }).toBe(bytes);
    const block = weights.subarray(0, count);
    const importance = new Float32Array(count).fill(1);
    if (canEncode)
      expect(await shown(), name).toEqual([...quantize(block, name, needsImportance ? { importance } : {})]);
    await says(page.locator('.inspector'), /Weight 0/);
    expect(page.url()).toContain(`format=${name}`);
  }
});

test('editing a byte changes the weights that the engine decodes, and can be undone', async () => {
  const before = await shown();
  await page.locator('[data-i="20"]').click();
  await page.keyboard.press('f');
  await page.keyboard.press('3');
  const changed = before.with(20, 0xf3);
  await expect.poll(shown).toEqual(changed);
  // The next byte is ready to be edited.
  expect(await page.evaluate(() => (document.activeElement as HTMLElement).dataset.i)).toBe('21');
  const decoded = dequantize(Uint8Array.from(changed), 'Q4_K');
  await page.locator('.twin summary').click();
  for (const index of [4, 36]) expect(await weight(index, 'After')).toBe(near(decoded[index]!));
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Encode again' }).click();
  await expect.poll(shown).toEqual(before);
});

test('clicking a bit flips it', async () => {
  await page.locator('[data-i="0"]').click();
  const before = await shown();
  await page.getByRole('checkbox', { name: /^Bit 7: bit 7 of d$/ }).click({ force: true });
  await expect.poll(shown).toEqual(before.with(0, before[0]! ^ 128));
});

test('the keyboard changes a weight, and the bytes are encoded again', async () => {
  const before = await shown();
  const slider = page.getByRole('slider');
  await slider.focus();
  for (let i = 0; i < 5; i += 1) await page.keyboard.press('ArrowRight');
  for (let i = 0; i < 3; i += 1) await page.keyboard.press('PageUp');
  expect(await slider.getAttribute('aria-label')).toBe('Weight 5 of 256');
  expect(await shown()).not.toEqual(before);
  const weights = generateGaussianWeights(256, 0, 1, 1);
  weights[5] = Number(await slider.getAttribute('aria-valuenow'));
  expect(weights[5]).toBeGreaterThan(generateGaussianWeights(256, 0, 1, 1)[5]!);
  expect(await shown()).toEqual([...quantize(weights, 'Q4_K')]);
});

test('the mouse draws weights', async () => {
  await page.locator('.twin summary').click();
  const box = (await page.locator('.chart .row').first().boundingBox())!;
  const step = (box.width - 40) / 256;
  const at = (index: number): number => box.x + 40 + (index + 0.5) * step;
  await page.mouse.move(at(100), box.y + 10);
  await page.mouse.down();
  await page.mouse.move(at(103), box.y + 10, { steps: 2 });
  await page.mouse.up();
  const drawn = await Promise.all([100, 101, 102, 103].map((index) => weight(index, 'Before')));
  expect(Math.min(...drawn)).toBeGreaterThan(2.5);
  expect(new Set(drawn).size).toBe(1);
});

test('custom numbers are encoded as they are typed', async () => {
  await page.locator('.formats').getByRole('radio', { name: 'Q8_0', exact: true }).check({ force: true });
  await page.getByRole('button', { name: 'Custom numbers' }).click();
  await page.getByLabel(/Up to 256 numbers/).fill('1, −2.5; 3e-1 and .25');
  await page.locator('.panel [aria-live]', { hasText: '4 read.' }).waitFor();
  const weights = Float32Array.from({ length: 32 }, (_, i) => [1, -2.5, 0.3, 0.25][i % 4]!);
  expect(await shown()).toEqual([...quantize(weights, 'Q8_0')]);
});

test('numbers that the format cannot encode show an error and leave the bytes unchanged', async () => {
  const before = await shown();
  await page.getByRole('button', { name: 'Custom numbers' }).click();
  await page.getByLabel(/Up to 256 numbers/).fill('1e38');
  await says(page.getByRole('alert'), /cannot be represented in Q4_K/);
  await expect.poll(shown).toEqual(before);
});

test('a block of the open model is shown', async () => {
  const model = await openModel('tests/fixtures/tiny-whale/tiny-whale-f16.gguf');
  const tensor = model.tensors.find(({ shape }) => shape.length > 1 && shape[0]! >= 512) ?? model.tensors[0]!;
  await page.getByRole('button', { name: 'From the open model' }).click();
  const choice = page.getByLabel('Tensor');
  await choice.waitFor();
  await choice.selectOption(tensor.name);
  await page.getByLabel(/^Row of/).fill('1');
  await page.getByLabel(/^Row of/).press('Tab');
  const row = await model.readTensor(tensor.name, { rows: [1, 2] });
  await expect.poll(shown).toEqual([...quantize(row.slice(0, 256), 'Q4_K')]);
  await model.close();
});

test('a block of a quantized model shows its stored bytes', async () => {
  const target = new MemoryTarget();
  const sample = await openModel('tests/fixtures/tiny-whale/tiny-whale-f16.gguf');
  await quantizeModel(sample, target, 'Q6_K', { workers: 0 });
  await sample.close();
  const file = target.bytes!;
  const model = await openModel(file);
  const tensor = model.tensors.find(({ type, shape }) => type === 'Q6_K' && shape[0]! >= 512)!;
  await page.getByRole('link', { name: 'Shrink', exact: true }).click();
  const buffer = Buffer.from(file);
  await openFile(page, { name: 'small.gguf', mimeType: '', buffer }, 'small.gguf');
  await page.getByRole('link', { name: 'Blocks' }).click();
  await page.getByRole('button', { name: 'From the open model' }).click();
  await page.getByLabel('Tensor').selectOption(tensor.name);
  // The format is that of the tensor.
  await expect.poll(() => page.locator('.formats :checked').getAttribute('value')).toBe('Q6_K');
  await page.getByLabel(/^Block of/).fill('1');
  await page.getByLabel(/^Block of/).press('Tab');
  await expect.poll(shown).toEqual([...file.subarray(tensor.offset + 210, tensor.offset + 420)]);
  await model.close();
});
