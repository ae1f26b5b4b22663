/** A model that cannot be converted, as a plain container on request, which the page labels as such. */

import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import type { Recipe } from 'quantpress';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { quantpress } from '../js/support/cli.js';
import { safetensorsFile } from '../js/support/safetensors.js';
import { leave } from './support/browser.js';
import { download, inNode, measured, openFile, SAMPLE, says, sha256, usePlayground } from './support/playground.js';

const app = usePlayground();
const RECIPE: Recipe = { preset: 'Q8_0', plain: true };
let parent: string;
let refused: string;

beforeAll(async () => {
  parent = await mkdtemp(join(tmpdir(), 'quantpress-'));
  refused = join(parent, 'flan-t5');
  await mkdir(refused);
  await writeFile(
    join(refused, 'config.json'),
    '{"architectures": ["T5ForConditionalGeneration"], "model_type": "t5"}',
  );
  const data = new Uint8Array(Float32Array.from({ length: 4096 }, (_, at) => Math.sin(at)).buffer);
  const names = ['shared', 'encoder.block.0.layer.0.SelfAttention.q', 'decoder.block.0.layer.0.SelfAttention.q'];
  const tensors = names.map(
    (name) => [`${name}.weight`, { dtype: 'F32', shape: [16, 256], data }] satisfies [string, object],
  );
  await writeFile(join(refused, 'model.safetensors'), safetensorsFile(Object.fromEntries(tensors)));
});
afterAll(() => rm(parent, { recursive: true, force: true }));

async function openRefused(page: Page): Promise<void> {
  await page.getByLabel('Folder of a model').setInputFiles(refused);
  await says(page.locator('.drop strong'), 'flan-t5');
}

const box = (page: Page) => page.getByRole('checkbox', { name: 'Make a plain container' });
const copied = async (page: Page, label: string): Promise<string> =>
  (await page.locator('.copyable', { hasText: label }).locator('code').textContent()) ?? '';

test('a refused folder becomes a plain container on request', async () => {
  const { page } = app;
  await openRefused(page);
  // The file has the name of the model, and empty sections are absent.
  await says(page.getByRole('alert'), /^flan-t5\/config\.json: T5ForConditionalGeneration cannot be converted/);
  expect(await page.getByRole('heading', { name: /Largest errors|Every tensor|side by side/ }).count()).toBe(0);
  const start = page.getByRole('button', { name: /^Shrink to/ });
  await expect.poll(() => start.isDisabled()).toBe(true);
  expect(await box(page).isChecked()).toBe(false);
  expect(await page.locator('.preset').count()).toBe(0);

  await box(page).check();
  await measured(page);
  await page.locator('.preset [value="Q8_0"]').check();
  expect(await box(page).isChecked()).toBe(true);
  await page.getByRole('button', { name: 'Shrink to Q8_0', exact: true }).click();
  const { name, bytes } = await download(page);
  expect([name, sha256(bytes)]).toEqual(['flan-t5-Q8_0.gguf', await inNode(RECIPE, undefined, refused)]);
  await page.locator('.done .note', { hasText: 'A plain container' }).waitFor();
  await page.locator('.try .note', { hasText: 'No program can run a plain container' }).waitFor();

  // The shared commands request the same.
  const line = (await copied(page, 'For the command line')).split(' ');
  expect(line).toEqual(['npx', 'quantpress', 'quantize', '--plain', 'flan-t5', 'flan-t5-Q8_0.gguf', 'Q8_0']);
  const made = join(parent, name);
  expect((await quantpress(['quantize', '--plain', refused, made, 'Q8_0'], parent)).code).toBe(0);
  expect(sha256(await readFile(made))).toBe(sha256(bytes));
  expect(JSON.parse(await copied(page, 'As JSON'))).toEqual(RECIPE);
  expect(await copied(page, 'As a link')).toMatch(/#\/\?preset=Q8_0&plain=$/);
});

test('the best mix of a plain container is a plain container', async () => {
  const { page } = app;
  await openRefused(page);
  await box(page).check();
  await measured(page);
  await page.getByLabel('the best mix of types').check();
  await page.getByRole('button', { name: 'Shrink to the best mix' }).click();
  const { bytes } = await download(page);
  const recipe = JSON.parse(await copied(page, 'As JSON'));
  expect(recipe.plain).toBe(true);
  expect(sha256(bytes)).toBe(await inNode(recipe, undefined, refused));
});

test('consent is needed again for every model, and the checkbox withdraws it', async () => {
  const { page } = app;
  await openRefused(page);
  await box(page).check();
  await page.locator('.preset [value="Q8_0"]').check();
  await box(page).uncheck();
  await expect.poll(() => page.locator('.preset').count()).toBe(0);
  await expect.poll(() => page.getByRole('button', { name: /^Shrink to/ }).isDisabled()).toBe(true);
  await box(page).check();
  await openFile(page, { name: 'other-f16.gguf', mimeType: '', buffer: await readFile(SAMPLE) }, 'other-f16.gguf');
  await expect.poll(() => box(page).count()).toBe(0);
  await page.getByRole('button', { name: 'Shrink to Q8_0', exact: true }).waitFor();
  await openRefused(page);
  await box(page).waitFor();
  expect(await box(page).isChecked()).toBe(false);
});

test('consent from a link does not affect models that can be converted, and applies to the first that cannot', async () => {
  const { page } = app;
  await leave(app.problems, async () => {
    await page.goto(`${app.url}/#/?preset=Q8_0&plain`);
    await page.reload();
  });
  await page.getByRole('button', { name: 'Shrink to Q8_0', exact: true }).click();
  expect(sha256((await download(page)).bytes)).toBe(await inNode('Q8_0'));
  expect(await copied(page, 'For the command line')).not.toContain('--plain');
  await openRefused(page);
  await expect.poll(() => box(page).isChecked()).toBe(true);
  await page.getByRole('button', { name: 'Shrink to Q8_0', exact: true }).click();
  expect(sha256((await download(page)).bytes)).toBe(await inNode(RECIPE, undefined, refused));
});
