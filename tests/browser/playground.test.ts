/** The playground as it is served, used as a person would use it. */

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { init, MemoryTarget, openModel, quantizeModel } from 'quantpress';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { launch, open } from './support/browser.js';
import { type Server, serve } from './support/server.js';

const SAMPLE = 'tests/fixtures/tiny-whale/tiny-whale-f16.gguf';

let browser: Browser;
let server: Server;
let page: Page;
let problems: string[];

beforeAll(async () => {
  await init();
  server = await serve('www/dist');
  browser = await launch();
});

afterAll(async () => {
  await browser?.close();
  await server?.close();
});

beforeEach(async () => {
  ({ page, problems } = await open(browser, server.url));
  await page.getByText('Shrink to Q4_K_M').waitFor();
});

afterEach(async () => {
  expect(problems).toEqual([]);
  await page.close();
});

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** What the package makes of the sample in Node: itself held against the live llama.cpp by the tests in tests/js. */
async function inNode(preset: string): Promise<Uint8Array> {
  const model = await openModel(SAMPLE);
  const target = new MemoryTarget();
  await quantizeModel(model, target, preset, { workers: 0 });
  await model.close();
  return target.bytes ?? new Uint8Array(0);
}

async function download(): Promise<{ name: string; bytes: Buffer }> {
  const arriving = page.waitForEvent('download');
  await page.getByRole('link', { name: 'Save the file' }).click();
  const file = await arriving;
  return { name: file.suggestedFilename(), bytes: await readFile(await file.path()) };
}

for (const preset of ['Q4_0', 'Q8_0', 'Q4_K_M', 'Q6_K']) {
  test(`the sample shrunk to ${preset} in the page is the file that Node makes`, async () => {
    await page
      .getByRole('radio', { name: preset, exact: false })
      .and(page.locator(`[value="${preset}"]`))
      .check();
    await page.getByRole('button', { name: `Shrink to ${preset}` }).click();
    await page.getByRole('status').getByText('SHA-256').waitFor();
    const { name, bytes } = await download();
    expect(name).toBe(`tiny-whale-${preset}.gguf`);
    const expected = await inNode(preset);
    expect(sha256(bytes)).toBe(sha256(expected));
    // What the page says of the file is true of it.
    expect(await page.locator('.hash').textContent()).toBe(sha256(bytes));
  });
}

test('an importance matrix opens the presets that need one, and goes into the file', async () => {
  const small = page.locator('[value="IQ2_XS"]');
  expect(await small.isDisabled()).toBe(true);
  await page.getByRole('button', { name: 'Use the sample’s' }).click();
  await page.locator('[value="IQ2_XS"]:enabled').check();
  await page.getByRole('button', { name: 'Shrink to IQ2_XS' }).click();
  await page.getByRole('link', { name: 'Save the file' }).waitFor();
  const { bytes } = await download();
  const matrix = await readFile('tests/fixtures/tiny-whale/tiny-whale.imatrix.gguf');
  const model = await openModel(SAMPLE);
  const target = new MemoryTarget();
  const file = new File([matrix], 'tiny-whale.imatrix.gguf');
  await quantizeModel(model, target, 'IQ2_XS', { workers: 0, imatrix: file });
  await model.close();
  expect(sha256(bytes)).toBe(sha256(target.bytes ?? new Uint8Array(0)));
});

test('the tensors are listed with what becomes of them, and can be filtered', async () => {
  const model = await openModel(SAMPLE);
  expect(await page.locator('.tensors tbody tr').count()).toBe(model.tensors.length);
  await page.getByRole('searchbox').fill('attn_v');
  const rows = page.locator('.tensors tbody tr');
  expect(await rows.count()).toBe(model.tensors.filter(({ name }) => name.includes('attn_v')).length);
  expect(await rows.first().textContent()).toContain('F16');
  await model.close();
});

test('a file of one’s own is opened, and one that is no model is refused in a sentence', async () => {
  const bytes = await readFile(SAMPLE);
  const choose = page.getByLabel('Model file', { exact: true });
  await choose.setInputFiles({ name: 'mine-f16.gguf', mimeType: '', buffer: bytes });
  await page.getByText('mine-f16.gguf').waitFor();
  await choose.setInputFiles({ name: 'notes.gguf', mimeType: '', buffer: Buffer.from('this is no model at all') });
  const alert = page.getByRole('alert');
  await alert.waitFor();
  expect(await alert.textContent()).toMatch(/GGUF/);
  await choose.setInputFiles({ name: 'half.gguf', mimeType: '', buffer: bytes.subarray(0, 20_000) });
  await expect.poll(() => alert.textContent()).toMatch(/20000/);
  // The model that was open is still there.
  await page.getByText('mine-f16.gguf').waitFor();
});

test('a running job is cancelled, and can be started again', async () => {
  // Both clicks from within the page: the sample takes less time than a round trip to the test.
  await page.evaluate(async () => {
    const press = (text: string) =>
      [...document.querySelectorAll('button')].find((button) => button.textContent?.startsWith(text))?.click();
    press('Shrink to');
    await new Promise(requestAnimationFrame);
    press('Cancel');
  });
  await page.getByRole('button', { name: 'Shrink to Q4_K_M' }).click();
  await page.getByRole('link', { name: 'Save the file' }).waitFor();
});

test('nothing is asked of any other address', async () => {
  const asked: string[] = [];
  page.on('request', (request) => asked.push(request.url()));
  await page.reload();
  await page.getByText('Shrink to Q4_K_M').waitFor();
  await page.getByRole('button', { name: 'Shrink to Q4_K_M' }).click();
  await page.getByRole('link', { name: 'Save the file' }).waitFor();
  const origin = new URL(server.url).origin;
  expect(
    asked.filter((url) => !url.startsWith(origin) && !url.startsWith(`blob:${origin}`) && !url.startsWith('data:')),
  ).toEqual([]);
});
