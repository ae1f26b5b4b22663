/** What the page says of a model is what the package finds, and can be had without a mouse. */

import { analyzeModel, bestMix, openModel, planModel, presets } from 'quantpress';
import { expect, test } from 'vitest';
import { measured, SAMPLE, usePlayground } from './support/playground.js';

const app = usePlayground();

/** Of each tensor its relative error in the format that a preset gives it, and all of them together, by Node. */
async function errorsOf(preset: string) {
  const model = await openModel(SAMPLE);
  const { tensors: analysed } = await analyzeModel(model, { sample: 'all' });
  const plan = await planModel(model, preset);
  const errors = new Map<string, number>();
  let [squares, weights] = [0, 0];
  for (const { name, from, to, rows, rowLength } of plan.tensors) {
    const format = analysed.find((tensor) => tensor.name === name)?.formats.find((one) => one.format === to);
    const error = from === to || !format || format.refusal ? 0 : format.relativeRmse;
    errors.set(name, error);
    squares += rows * rowLength * error ** 2;
    weights += rows * rowLength;
  }
  const { size } = plan;
  plan.free();
  await model.close();
  return { errors, size, typical: Math.sqrt(squares / weights) };
}

test('the verdict says the size and the error that the package finds', async () => {
  const { page } = app;
  await measured(page);
  const { size, typical } = await errorsOf('Q4_K_M');
  const line = (await page.locator('.verdict .line').textContent()) ?? '';
  expect(line).toContain(`into ${(size / 1e6).toFixed(2)} MB`);
  expect(line).toContain(`Typical error ${(typical * 100).toFixed(1)} %`);
});

test('the chart’s table has every preset that can be made, with its size and error', async () => {
  const { page } = app;
  await measured(page);
  const chart = page.getByRole('region', { name: 'What each preset costs' });
  await chart.getByText('Show as a table').click();
  const rows = await chart.locator('tbody tr').allInnerTexts();
  const cells = new Map(rows.map((row) => [row.split(/\s/)[0], row]));
  const names = new Set(presets().map(({ name }) => name));
  for (const name of cells.keys()) expect(names).toContain(name);
  for (const preset of ['Q2_K', 'Q3_K_M', 'Q5_K_M', 'Q8_0']) {
    const { size, typical } = await errorsOf(preset);
    const [whole, error] = [(size / 1e6).toFixed(2), `${(typical * 100).toPrecision(2)} %`];
    expect(cells.get(preset)).toContain(`${whole} MB`);
    expect(cells.get(preset)).toContain(typical < 0.01 ? `${(typical * 100).toFixed(1)} %` : error);
  }
  // Those that lack an importance matrix are not among the best that one can have.
  expect(cells.has('IQ1_S')).toBe(false);
});

test('the size target is moved by keys, and takes the best preset that fits', async () => {
  const { page } = app;
  await measured(page);
  const slider = page.getByRole('slider', { name: 'Size target' });
  await slider.focus();
  await page.keyboard.press('End');
  await expect.poll(() => page.locator('.preset :checked').getAttribute('value')).toBe('Q8_0');
  await page.keyboard.press('Home');
  await expect.poll(() => page.locator('.preset :checked').getAttribute('value')).toBe('Q1_0');
  const box = await page.locator('.plot .area').boundingBox();
  if (!box) throw new Error('the chart is not there');
  await page.mouse.move(box.x + box.width * 0.3, box.y + 100);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.62, box.y + 120, { steps: 5 });
  await page.mouse.up();
  await expect.poll(() => page.locator('.preset :checked').getAttribute('value')).toMatch(/^Q5_K/);
  const target = await slider.inputValue();
  expect(
    (await errorsOf((await page.locator('.preset :checked').getAttribute('value')) ?? '')).size,
  ).toBeLessThanOrEqual(Number(target));
});

test('the map of the tensors is walked by arrow keys, and opens the tensor it is on', async () => {
  const { page } = app;
  await measured(page);
  const map = page.getByRole('region', { name: 'Where the damage is' });
  const { errors } = await errorsOf('Q4_K_M');
  const cell = map.locator('[data-tensor="blk.0.attn_q.weight"]');
  const decibels = -20 * Math.log10(errors.get('blk.0.attn_q.weight') ?? 0);
  expect(await cell.getAttribute('aria-label')).toBe(`blk.0.attn_q.weight: Q4_K, ${decibels.toFixed(0)} dB`);
  await cell.click();
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('Enter');
  expect(await page.locator('#tensor').textContent()).toBe('blk.1.attn_q.weight');
  // One cell only is a stop of the Tab key.
  expect(await map.locator('.heat [tabindex="0"]').count()).toBe(1);
  const panel = page.getByRole('region', { name: 'blk.1.attn_q.weight' });
  await panel.getByText('Errors in Q4_K').waitFor();
  await expect.poll(() => panel.locator('rect.weights').count()).toBe(64);
  await expect.poll(() => panel.locator('rect.errors').count()).toBe(64);
});

test('a damaged tensor is raised by one click, and only that one', async () => {
  const { page } = app;
  await measured(page);
  const offender = page.locator('.offenders li').first();
  const name = (await offender.locator('button').first().textContent()) ?? '';
  const row = page.locator('.tensors tbody tr', { hasText: name });
  expect(await row.locator('.to').textContent()).toBe('Q4_K');
  await offender.getByRole('button', { name: /^Raise to Q5_K/ }).click();
  await expect.poll(() => row.locator('.to').textContent()).toBe('Q5_K');
  expect(await page.locator('.tensors tbody td.to', { hasText: 'Q5_K' }).count()).toBe(1);
  expect(await page.locator('.recipe .sum strong').textContent()).toBe('Q4_K_M with 1 change');
});

test('the tensors are listed with what becomes of them, and can be filtered and sorted', async () => {
  const { page } = app;
  await measured(page);
  const model = await openModel(SAMPLE);
  const rows = page.locator('.tensors tbody tr');
  expect(await rows.count()).toBe(model.tensors.length);
  await page.getByRole('searchbox').fill('attn_v');
  expect(await rows.count()).toBe(model.tensors.filter(({ name }) => name.includes('attn_v')).length);
  expect(await rows.first().textContent()).toContain('F16');
  await page.getByRole('searchbox').fill('');
  await page.locator('.tensors select').selectOption('error, worst first');
  const { errors } = await errorsOf('Q4_K_M');
  const worst = [...errors].sort(([, a], [, b]) => b - a)[0]?.[0];
  expect(await rows.first().locator('.name').textContent()).toBe(worst);
  await model.close();
});

test('the best mix for a size is the one the package finds, and fits', async () => {
  const { page } = app;
  await measured(page);
  const slider = page.getByRole('slider', { name: 'Size target' });
  await page.locator('.preset [value="Q4_K_S"]').check();
  const target = Number(await slider.inputValue());
  await page.getByLabel('the best mix of types').check();
  await page.getByRole('button', { name: 'Shrink to the best mix' }).waitFor();
  const model = await openModel(SAMPLE);
  const analysis = await analyzeModel(model);
  const mix = await bestMix(model, analysis, { targetSize: Math.floor(target) });
  await model.close();
  const json = page.locator('.copyable', { hasText: 'As JSON' }).locator('code');
  expect(JSON.parse((await json.textContent()) ?? '')).toEqual(mix.recipe);
  expect(mix.size).toBeLessThanOrEqual(target);
  expect(await page.locator('.recipe .sum .number').textContent()).toBe(`${(mix.size / 1e6).toFixed(2)} MB`);
  // A preset again: the mix is left.
  await page.locator('.preset [value="Q6_K"]').check();
  await page.getByRole('button', { name: 'Shrink to Q6_K' }).waitFor();
});
