/** The benchmarks in the page: run, progress, stop, export. */

import { readFile } from 'node:fs/promises';
import type { Page } from 'playwright-core';
import { formats, runFullBenchmarkSuite } from 'quantpress';
import { beforeEach, expect, test } from 'vitest';
import { says, usePlayground } from './support/playground.js';

const app = usePlayground('/#/benchmarks', async (page) => {
  await page.setViewportSize({ width: 1280, height: 900 });
});

let page: Page;

beforeEach(() => {
  page = app.page;
});

const part = (title: string) => page.getByRole('region', { name: title, exact: true });

async function take(title: string, what: 'CSV' | 'JSON' | 'PNG'): Promise<Buffer> {
  const arriving = page.waitForEvent('download');
  await part(title).getByRole('button', { name: what }).click();
  const file = await arriving;
  expect(file.suggestedFilename()).toMatch(new RegExp(`^quantpress-\\w+\\.${what.toLowerCase()}$`));
  return readFile(await file.path());
}

test('the suite finishes, shows its finding, and exports its figures', async () => {
  const title = 'Signal to noise by bit width';
  await part(title).getByRole('combobox').selectOption('16384');
  await part(title).getByRole('button', { name: 'Run' }).click();
  await part(title).locator('.finding', { hasText: 'within 4.6 bits' }).waitFor();
  const expected = runFullBenchmarkSuite(16_384, 1).results;
  const rows = JSON.parse((await take(title, 'JSON')).toString()) as { name: string; sqnrDb: number }[];
  expect(rows.map(({ name, sqnrDb }) => [name, sqnrDb])).toEqual(expected.map(({ name, sqnrDb }) => [name, sqnrDb]));
  const lines = (await take(title, 'CSV')).toString().trim().split('\r\n');
  expect(lines.length).toBe(1 + expected.length);
  expect(lines[0]).toContain('bitsPerWeight');
  const png = await take(title, 'PNG');
  expect(png.subarray(1, 4).toString()).toBe('PNG');
  expect(png.readUInt32BE(16)).toBeGreaterThan(1000);
  // The table has the data of the chart.
  await part(title).locator('.twin > summary').click();
  const q4 = part(title).getByRole('row', { name: /^Q4_K/ });
  const decibels = expected.filter(({ name }) => name.endsWith(': Q4_K')).map(({ sqnrDb }) => sqnrDb.toFixed(2));
  await expect.poll(() => q4.getByRole('cell').allTextContents()).toEqual(['4.5', ...decibels]);
});

test('the speed benchmark measures one format after another and can be stopped', async () => {
  const title = 'Speed on this machine';
  const table = part(title).locator('tbody tr');
  await part(title).getByRole('button', { name: 'Run' }).click();
  // Clicked from within the page, because the benchmark does not wait for the test.
  await part(title).evaluate(async (section) => {
    while (section.querySelectorAll('tbody tr').length < 3) await new Promise(requestAnimationFrame);
    [...section.querySelectorAll('button')].find(({ textContent }) => textContent === 'Stop')?.click();
  });
  await part(title).locator('p', { hasText: 'Stopped early' }).waitFor();
  const stopped = await table.count();
  expect(stopped).toBeLessThan(formats().length);
  // Another benchmark runs to its end: by then a row of the first would have arrived.
  await part('Signal to noise by bit width').getByRole('combobox').selectOption('16384');
  await part('Signal to noise by bit width').getByRole('button', { name: 'Run' }).click();
  await part('Signal to noise by bit width').locator('.finding', { hasText: 'within 4.6 bits' }).waitFor();
  expect(await table.count()).toBe(stopped);
});

test('the accuracy benchmark runs, and leaving the view stops it', async () => {
  const title = 'Accuracy after quantization';
  await part(title).getByRole('button', { name: 'Run' }).click();
  await says(part(title).locator('.finding'), /Of 97\.8%, two bits keep 72\.4% with the best/);
  await part('Speed on this machine').getByRole('button', { name: 'Run' }).click();
  // Clicked from within the page, because the benchmark does not wait for the test.
  await page.evaluate(async () => {
    const all = (kind: string) => [...document.querySelectorAll<HTMLElement>(kind)];
    while (!all('button').some(({ textContent }) => textContent === 'Stop')) await new Promise(requestAnimationFrame);
    all('nav a')
      .find(({ textContent }) => textContent === 'Blocks')
      ?.click();
  });
  await page.locator('.hex').waitFor();
  await page.getByRole('link', { name: 'Benchmarks' }).click();
  await part('Speed on this machine').locator('p', { hasText: 'Stopped early' }).waitFor();
  // The measured rows are still shown.
});
