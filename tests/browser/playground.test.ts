/** The playground's first view: open a model, shrink it, save the file. */

import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { openModel } from 'quantpress';
import { leave } from './support/browser.js';
import { download, IMATRIX, inNode, SAMPLE, says, sha256, usePlayground } from './support/playground.js';

const app = usePlayground();

for (const preset of ['Q4_0', 'Q8_0', 'Q4_K_M', 'Q6_K'] as const) {
  test(`shrinking the sample to ${preset} in the page gives the same file as Node`, async () => {
    const { page } = app;
    await page.locator(`.preset [value="${preset}"]`).check();
    await page.getByRole('button', { name: `Shrink to ${preset}` }).click();
    const { name, bytes } = await download(page);
    expect(name).toBe(`tiny-whale-${preset}.gguf`);
    expect(sha256(bytes)).toBe(await inNode(preset));
    // The page's statements about the file are correct.
    await says(page.locator('.hash'), sha256(bytes));
  });
}

test('an importance matrix enables the presets that need one and is recorded in the file', async () => {
  const { page } = app;
  const small = page.locator('.preset [value="IQ2_XS"]');
  await expect.poll(() => small.isDisabled()).toBe(true);
  await page.getByRole('button', { name: 'Use the sample’s' }).click();
  await page.locator('.preset [value="IQ2_XS"]:enabled').check();
  await page.getByRole('button', { name: 'Shrink to IQ2_XS' }).click();
  const { bytes } = await download(page);
  expect(sha256(bytes)).toBe(await inNode('IQ2_XS', IMATRIX));
});

test('a local model file opens, and another kind of file is rejected with one sentence', async () => {
  const { page } = app;
  const bytes = await readFile(SAMPLE);
  const choose = page.getByLabel('Model file', { exact: true });
  await choose.setInputFiles({ name: 'mine-f16.gguf', mimeType: '', buffer: bytes });
  const name = page.locator('.drop strong');
  await says(name, 'mine-f16.gguf');
  await choose.setInputFiles({ name: 'notes.gguf', mimeType: '', buffer: Buffer.from('this is no model at all') });
  const alert = page.getByRole('alert');
  await alert.waitFor();
  await says(alert, /GGUF/);
  await choose.setInputFiles({ name: 'half.gguf', mimeType: '', buffer: bytes.subarray(0, 20_000) });
  await says(alert, /20000/);
  // The model is still open.
  await says(name, 'mine-f16.gguf');
});

test('a quantized model is requantized only with consent', async () => {
  const { page } = app;
  await page.locator('.preset [value="Q8_0"]').check();
  await page.getByRole('button', { name: 'Shrink to Q8_0' }).click();
  const { bytes } = await download(page);
  const choose = page.getByLabel('Model file', { exact: true });
  await choose.setInputFiles({ name: 'tiny-whale-Q8_0.gguf', mimeType: '', buffer: bytes });
  await page.locator('.drop strong', { hasText: 'tiny-whale-Q8_0.gguf' }).waitFor();
  await page.locator('.preset [value="Q4_K_M"]').check();
  const start = page.getByRole('button', { name: /^Shrink to/ });
  await page.getByLabel('Requantize').waitFor();
  await expect.poll(() => start.isDisabled()).toBe(true);
  await page.getByLabel('Requantize').check();
  await start.click();
  const again = await download(page);
  const model = await openModel(new Uint8Array(again.bytes));
  expect(model.tensor('blk.0.attn_q.weight').type).toBe('Q4_K');
  await model.close();
});

test('a running job can be cancelled and started again', async () => {
  const { page } = app;
  // Both clicks run within the page, because the sample takes less time than a round trip to the test.
  const cancelled = await page.evaluate(async () => {
    const button = (text: string) =>
      [...document.querySelectorAll('button')].find((button) => button.textContent?.startsWith(text));
    while (!document.querySelector('a[download]')) {
      const cancel = button('Cancel');
      cancel?.click();
      if (cancel) return true;
      // The button does nothing before the plan is ready.
      button('Shrink to')?.click();
      await new Promise(requestAnimationFrame);
    }
    return false;
  });
  expect(cancelled).toBe(true);
  await page.getByRole('button', { name: 'Shrink to Q4_K_M' }).click();
  await page.getByRole('link', { name: 'Save the file' }).waitFor();
  // Nothing of the cancelled job is kept.
  const kept = await page.evaluate(async () => {
    const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle('results');
    const names: string[] = [];
    for await (const name of (folder as unknown as { keys(): AsyncIterable<string> }).keys()) names.push(name);
    return names;
  });
  expect(kept).toEqual(['tiny-whale-Q4_K_M.gguf']);
});

test('the page sends no request to another origin', async () => {
  const { page, url } = app;
  const asked: string[] = [];
  page.on('request', (request) => asked.push(request.url()));
  await leave(app.problems, () => page.reload());
  await page.getByRole('button', { name: 'Shrink to Q4_K_M' }).click();
  await page.getByRole('link', { name: 'Save the file' }).waitFor();
  const { origin } = new URL(url);
  const ours = (address: string) =>
    address.startsWith(origin) || address.startsWith(`blob:${origin}`) || address.startsWith('data:');
  expect(asked.filter((address) => !ours(address))).toEqual([]);
});
