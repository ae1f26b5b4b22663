/** The transitions of the page's states: www/STATES.md has the table, tests/js/page-states.test.ts the functions. */

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Locator, Page } from 'playwright-core';
import { expect, onTestFinished, test } from 'vitest';
import { whaleFolder } from '../js/support/hugging-face.js';
import { leave } from './support/browser.js';
import { download, dropAt, inNode, measured, SAMPLE, sha256, usePlayground } from './support/playground.js';

const app = usePlayground();

const modelName = (page: Page): Locator => page.locator('.drop strong');

/** Whether an element is visible: nothing clips or covers it. */
async function inSight(element: Locator): Promise<boolean> {
  return element.evaluate((node) => {
    const { left, top, width, height } = node.getBoundingClientRect();
    const found = document.elementFromPoint(left + width / 2, top + height / 2);
    return node.contains(found);
  });
}

async function openSecond(page: Page, name = 'second-f16.gguf'): Promise<void> {
  const buffer = await readFile(SAMPLE);
  await page.getByLabel('Model file', { exact: true }).setInputFiles({ name, mimeType: '', buffer });
  await modelName(page).getByText(name, { exact: true }).waitFor();
}

/** Delays the page's measuring workers after some tasks until `release` is called in the page. */
function holdMeasuring(): void {
  const [most, every] = [200, 300];
  let begun = 0;
  const held: (() => void)[] = [];
  const timer = setInterval(() => held.shift()?.(), every);
  const released = () => {
    clearInterval(timer);
    begun = Number.NEGATIVE_INFINITY;
    for (const go of held.splice(0)) go();
  };
  const Plain = globalThis.Worker;
  class Held extends Plain {
    override postMessage(message: unknown, transfer?: Transferable[] | StructuredSerializeOptions): void {
      const go = () => super.postMessage(message, transfer as Transferable[]);
      const { task } = message as { task?: { kind: string } };
      if (task?.kind === 'measure' && ++begun > most) held.push(go);
      else go();
    }
  }
  Object.assign(globalThis, { Worker: Held, releaseMeasuring: released });
}

test('a best mix requested during measurement is found as soon as measuring ends', async () => {
  const page = await app.browser.newPage();
  onTestFinished(() => page.close());
  await page.addInitScript(holdMeasuring);
  await page.goto(app.url);
  await page.getByLabel('the best mix of types').check();
  await page.locator('.gain', { hasText: /^Still measuring \(\d+%\)\.$/ }).waitFor();
  await page.evaluate('releaseMeasuring()');
  await page.getByRole('button', { name: 'Shrink to the best mix' }).waitFor();
  expect(await page.getByText('Still measuring').count()).toBe(0);
});

test('opening another model keeps only the preset, rules and options', async () => {
  const { page } = app;
  await page.getByRole('button', { name: 'Use the sample’s' }).click();
  await page.locator('.preset [value="IQ2_XS"]:enabled').check();
  await page.getByRole('button', { name: 'Shrink to IQ2_XS', exact: true }).click();
  const save = page.getByRole('link', { name: 'Save the file' });
  await save.waitFor();
  await openSecond(page);
  // The matrix belonged to the sample: without one the preset is impossible, and the page says so next to the button.
  await page
    .locator('.note', {
      hasText: 'The importance matrix tiny-whale.imatrix.gguf was removed: made for tiny-whale-f16.gguf.',
    })
    .waitFor();
  const start = page.getByRole('button', { name: 'Shrink to IQ2_XS', exact: true });
  await page
    .locator('.shrink')
    .getByText(/an importance matrix\.$/)
    .waitFor();
  expect(await start.isDisabled()).toBe(true);
  // The first model's file is not a result of the second, and is not lost.
  expect(await save.count()).toBe(0);
  await expect.poll(() => page.getByRole('button', { name: 'Load llama.cpp' }).isDisabled()).toBe(true);
  const arriving = page.waitForEvent('download');
  await page.getByRole('link', { name: 'Save tiny-whale-IQ2_XS.gguf' }).click();
  expect((await arriving).suggestedFilename()).toBe('tiny-whale-IQ2_XS.gguf');
  await page.locator('.preset [value="Q8_0"]').check();
  await page.getByRole('button', { name: 'Shrink to Q8_0', exact: true }).click();
  const { name, bytes } = await download(page);
  expect([name, sha256(bytes)]).toEqual(['second-Q8_0.gguf', await inNode('Q8_0')]);
  expect(await page.getByRole('link', { name: 'Save tiny-whale-IQ2_XS.gguf' }).count()).toBe(0);
});

test('consent to requantize is requested next to the button and applies to one file', async () => {
  const { page } = app;
  await page.setViewportSize({ width: 1280, height: 800 });
  await page.locator('.preset [value="Q8_0"]').check();
  await page.getByRole('button', { name: 'Shrink to Q8_0', exact: true }).click();
  const { bytes } = await download(page);
  const choose = page.getByLabel('Model file', { exact: true });
  const consent = page.getByRole('checkbox', { name: 'Requantize' });
  await page.locator('.preset [value="Q4_K_M"]').check();
  for (const file of ['one-Q8_0.gguf', 'two-Q8_0.gguf']) {
    await choose.setInputFiles({ name: file, mimeType: '', buffer: bytes });
    await modelName(page).getByText(file, { exact: true }).waitFor();
    const start = page.getByRole('button', { name: 'Shrink to Q4_K_M', exact: false });
    await consent.waitFor();
    await start.scrollIntoViewIfNeeded();
    expect([await inSight(consent), await consent.isChecked(), await start.isDisabled()]).toEqual([true, false, true]);
    expect(await inSight(page.locator('.shrink p', { hasText: 'Check the box above to requantize this file.' }))).toBe(
      true,
    );
    await consent.check();
    await expect.poll(() => start.isEnabled()).toBe(true);
  }
});

test('importance matrix, rules and options stay visible after a job', async () => {
  const { page } = app;
  await page.setViewportSize({ width: 1280, height: 800 });
  await page.getByRole('button', { name: 'Shrink to Q4_K_M', exact: true }).click();
  await page.getByRole('link', { name: 'Save the file' }).waitFor();
  await page.locator('.side').evaluate((side) => side.scrollIntoView());
  const card = page.locator('.recipe');
  for (const part of ['.imatrix', '.changes summary', '.options summary']) {
    await expect.poll(() => inSight(card.locator(part)), { message: part }).toBe(true);
  }
});

test('a URL that cannot be opened leaves no model open, shows the reason and offers the sample', async () => {
  const page = await app.browser.newPage();
  onTestFinished(() => page.close());
  await page.addInitScript(() => sessionStorage.setItem('quantpress.address', 'http://127.0.0.1:1/100%.gguf'));
  await page.goto(`${app.url}/url.html`);
  await page.getByRole('alert').waitFor();
  await modelName(page).getByText('No model is open', { exact: true }).waitFor();
  await page.locator('.verdict').getByText('No model is open.').waitFor();
  expect(await page.getByText(/Opening the model|Measuring/).count()).toBe(0);
  await expect.poll(() => page.getByRole('button', { name: /^Shrink to/ }).isDisabled()).toBe(true);
  await page.getByRole('button', { name: 'Use the sample' }).click();
  await modelName(page).getByText('tiny-whale-f16.gguf', { exact: true }).waitFor();
  await page.getByRole('alert').waitFor({ state: 'detached' });
  await measured(page);
});

test('the weights of a language model without its folder show one sentence and no spinner', async () => {
  const { page } = app;
  const parent = await mkdtemp(join(tmpdir(), 'quantpress-'));
  onTestFinished(() => rm(parent, { recursive: true }));
  const path = join(await whaleFolder(parent), 'model.safetensors');
  await page.getByLabel('Model file', { exact: true }).setInputFiles(path);
  await modelName(page).getByText('model.safetensors', { exact: true }).waitFor();
  const why = page.getByRole('alert').filter({ hasText: 'open its folder' });
  await why.waitFor();
  await page.locator('.shrink p', { hasText: 'This model cannot be converted: see above.' }).waitFor();
  expect(await why.count()).toBe(1);
  expect(await page.locator('.preset').count()).toBe(0);
  expect(await page.getByText(/Measuring/).count()).toBe(0);
  await expect.poll(() => page.getByRole('button', { name: /^Shrink to/ }).isDisabled()).toBe(true);
  // Another model is another state.
  await openSecond(page);
  await measured(page);
  expect(await why.count()).toBe(0);
});

test('files dropped outside the box, in any view, open and do not replace the page', async () => {
  const { page, url } = app;
  const folder = await mkdtemp(join(tmpdir(), 'quantpress-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const path = join(folder, 'beside-f16.gguf');
  await writeFile(path, await readFile(SAMPLE));
  await page.getByRole('link', { name: 'Blocks', exact: true }).click();
  await page.getByRole('heading', { name: 'Shrink' }).waitFor({ state: 'detached' });
  const opened = modelName(page).getByText('beside-f16.gguf', { exact: true });
  await dropAt(page, page.getByRole('contentinfo'), [path], opened);
  expect(page.url().startsWith(url)).toBe(true);
});

test('a recipe survives a visit to another view and a reload in either', async () => {
  const { page } = app;
  const chosen = page.locator('.preset :checked');
  await page.locator('.preset [value="Q3_K_M"]').check();
  await page.getByRole('link', { name: 'Blocks', exact: true }).click();
  await chosen.waitFor({ state: 'detached' });
  await page.getByRole('link', { name: 'Shrink', exact: true }).click();
  await page.getByRole('button', { name: 'Shrink to Q3_K_M', exact: true }).waitFor();
  await leave(app.problems, () => page.reload());
  await page.getByRole('button', { name: 'Shrink to Q3_K_M', exact: true }).waitFor();
  await page.getByRole('link', { name: 'Blocks', exact: true }).click();
  await chosen.waitFor({ state: 'detached' });
  await leave(app.problems, () => page.reload());
  await page.getByRole('link', { name: 'Shrink', exact: true }).click();
  await page.getByRole('button', { name: 'Shrink to Q3_K_M', exact: true }).waitFor();
  // A link that is followed is still read.
  await page.goto(`${app.url}/#/?preset=Q6_K`);
  await page.getByRole('button', { name: 'Shrink to Q6_K', exact: true }).waitFor();
});
