/** The page shows the package's figures, and works without a mouse. */

import {
  analyzeModel,
  bestMix,
  type ModelAnalysis,
  openModel,
  planModel,
  type PresetName,
  presets,
  weightError,
} from 'quantpress';
import { expect, test } from 'vitest';
import { measured, SAMPLE, says, usePlayground } from './support/playground.js';

const app = usePlayground();

let analysis: Promise<ModelAnalysis> | undefined;

/** The relative error of each tensor in its type under a preset, and the total, computed in Node. */
async function errorsOf(preset: PresetName) {
  const model = await openModel(SAMPLE);
  // Computed once for all tests, because it takes as long as measuring in the page.
  analysis ??= analyzeModel(model, { sample: 'all' });
  const { tensors: analysed } = await analysis;
  const plan = await planModel(model, preset);
  const errors = new Map<string, number>();
  const parts: { weights: number; relativeRmse: number }[] = [];
  for (const { name, from, to, rows, rowLength } of plan.tensors) {
    const format = analysed.find((tensor) => tensor.name === name)?.formats.find((one) => one.format === to);
    const error = from === to || !format || format.refusal ? 0 : format.relativeRmse;
    errors.set(name, error);
    parts.push({ weights: rows * rowLength, relativeRmse: error });
  }
  const { size } = plan;
  plan.free();
  await model.close();
  return { errors, size, typical: weightError(parts) ?? 0 };
}

/** A weight error as the page and the command line show it. */
const percent = (share: number): string => `${(100 * share).toPrecision(3)}%`;

test('the verdict shows the size and error that the package computes', async () => {
  const { page } = app;
  await measured(page);
  const { size, typical } = await errorsOf('Q4_K_M');
  const expected = `Q4_K_M: 7.38 MB → ${(size / 1e6).toFixed(2)} MB (69% smaller). Weight error ${percent(typical)} (RMS)`;
  await expect.poll(() => page.locator('.verdict .line').textContent()).toContain(expected);
});

test("the chart's table lists every available preset with its size and error", async () => {
  const { page } = app;
  await measured(page);
  const chart = page.getByRole('region', { name: 'What each preset costs' });
  await chart.locator('.twin > summary').click();
  await chart.getByRole('row', { name: /^Q8_0/ }).waitFor();
  const rows = await chart.locator('tbody tr').allInnerTexts();
  const cells = new Map(rows.map((row) => [row.split(/\s/)[0], row]));
  const names = new Set(presets().map(({ name }) => name));
  for (const name of cells.keys()) expect(names).toContain(name);
  for (const preset of ['Q2_K', 'Q3_K_M', 'Q5_K_M', 'Q8_0'] as const) {
    const { size, typical } = await errorsOf(preset);
    expect(cells.get(preset)).toContain(`${(size / 1e6).toFixed(2)} MB`);
    expect(cells.get(preset)).toContain(percent(typical));
  }
  // Presets that lack an importance matrix are not available.
  expect(cells.has('IQ1_S')).toBe(false);
});

test('arrow keys move the size target, which selects the best preset that fits', async () => {
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
  const chosen = (await page.locator('.preset :checked').getAttribute('value')) as PresetName;
  expect((await errorsOf(chosen)).size).toBeLessThanOrEqual(Number(target));
});

test('arrow keys move through the tensor map, and Enter opens the focused tensor', async () => {
  const { page } = app;
  await measured(page);
  const map = page.getByRole('region', { name: 'Error by tensor' });
  const { errors } = await errorsOf('Q4_K_M');
  const cell = map.locator('[data-tensor="blk.0.attn_q.weight"]');
  const decibels = -20 * Math.log10(errors.get('blk.0.attn_q.weight') ?? 0);
  await expect.poll(() => cell.getAttribute('aria-label')).toBe(`blk.0.attn_q.weight: Q4_K, ${decibels.toFixed(0)} dB`);
  await cell.click();
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('Enter');
  await says(page.locator('#tensor'), 'blk.1.attn_q.weight');
  // Only one cell is a Tab stop.
  await expect.poll(() => map.locator('.heat [tabindex="0"]').count()).toBe(1);
  const panel = page.getByRole('region', { name: 'blk.1.attn_q.weight' });
  // Found by element, because the table has the same text.
  await says(panel.locator('figcaption').last(), 'Errors in Q4_K');
  await expect.poll(() => panel.locator('rect.weights').count()).toBe(64);
  await expect.poll(() => panel.locator('rect.errors').count()).toBe(64);
});

test('one click raises the type of a damaged tensor, and of no other', async () => {
  const { page } = app;
  await measured(page);
  const offender = page.locator('.offenders li').first();
  const name = (await offender.locator('button').first().textContent()) ?? '';
  const row = page.locator('.tensors tbody tr', { hasText: name });
  await says(row.locator('.to'), 'Q4_K');
  await offender.getByRole('button', { name: /^Raise to Q5_K/ }).click();
  await says(row.locator('.to'), 'Q5_K');
  await expect.poll(() => page.locator('.tensors tbody td.to', { hasText: 'Q5_K' }).count()).toBe(1);
  await says(page.locator('.recipe .sum strong'), 'Q4_K_M with 1 change');
});

test("the tensor list shows each tensor's new type and can be filtered and sorted", async () => {
  const { page } = app;
  await measured(page);
  const model = await openModel(SAMPLE);
  const rows = page.locator('.tensors tbody tr');
  await expect.poll(() => rows.count()).toBe(model.tensors.length);
  await page.getByRole('searchbox').fill('attn_v');
  await expect.poll(() => rows.count()).toBe(model.tensors.filter(({ name }) => name.includes('attn_v')).length);
  await says(rows.first(), /F16/);
  await page.getByRole('searchbox').fill('');
  await page.locator('.tensors select').selectOption('error, worst first');
  const { errors } = await errorsOf('Q4_K_M');
  const worst = [...errors].sort(([, a], [, b]) => b - a)[0]?.[0];
  await says(rows.first().locator('.name'), worst ?? '');
  await model.close();
});

test("the best mix for a size equals the package's and fits", async () => {
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
  await expect.poll(async () => JSON.parse((await json.textContent()) ?? '')).toEqual(mix.recipe);
  expect(mix.size).toBeLessThanOrEqual(target);
  await says(page.locator('.recipe .sum .number'), `${(mix.size / 1e6).toFixed(2)} MB`);
  // The page's weight error equals the package's.
  await says(page.locator('.verdict .line'), new RegExp(`Weight error ${percent(mix.weightError ?? 0)} \\(RMS\\)`));
  // Selecting a preset leaves the mix.
  await page.locator('.preset [value="Q6_K"]').check();
  await page.getByRole('button', { name: 'Shrink to Q6_K' }).waitFor();
});

test("the chart's tooltip shows the preset under the pointer, and its labels and ticks are placed correctly", async () => {
  const { page } = app;
  await page.setViewportSize({ width: 1280, height: 900 });
  await measured(page);
  const chart = page.locator('.plot');
  await chart.scrollIntoViewIfNeeded();
  for (const preset of ['Q1_0', 'Q2_K', 'Q6_K'] as const) {
    const box = await chart.locator(`[data-preset="${preset}"]`).boundingBox();
    if (!box) throw new Error(`${preset} is not in the chart`);
    await page.mouse.move(box.x + box.width / 2 + 1, box.y + box.height / 2 + 1);
    await says(chart.getByRole('tooltip').locator('strong'), preset);
    const { size, typical } = await errorsOf(preset);
    const shown = size < 1e6 ? `${Math.round(size / 1e3)} kB` : `${(size / 1e6).toFixed(2)} MB`;
    await says(chart.getByRole('tooltip').locator('.number'), `${shown}, ${percent(typical)}`);
  }
  await page.mouse.move(1, 1);
  await expect.poll(() => chart.getByRole('tooltip').count()).toBe(0);

  const drawn = await chart.evaluate((plot) => {
    const centre = ({ x, y, width, height }: DOMRect) => ({ x: x + width / 2, y: y + height / 2 });
    const dots = [...plot.querySelectorAll<SVGElement>('.dot')].map((dot) => ({
      name: dot.dataset.preset ?? '',
      ...centre(dot.getBoundingClientRect()),
    }));
    const away = (box: DOMRect, { x, y }: { x: number; y: number }) =>
      Math.hypot(Math.max(box.left - x, 0, x - box.right), Math.max(box.top - y, 0, y - box.bottom));
    const labels = [...plot.querySelectorAll('.label')].map((label) => {
      const box = label.getBoundingClientRect();
      const own = dots.find(({ name }) => name === label.textContent);
      const others = dots.filter((dot) => own && Math.hypot(dot.x - own.x, dot.y - own.y) > 2);
      return { own: own ? away(box, own) : Infinity, other: Math.min(...others.map((dot) => away(box, dot))) };
    });
    const slider = plot.querySelector('input');
    const ticks = [...plot.querySelectorAll('.tick')].map((line) => ({
      at: Number(line.getAttribute('x1')),
      text: line.parentElement?.textContent ?? '',
    }));
    const width = Number(plot.querySelector('svg')?.getAttribute('width'));
    return { labels, ticks, width, from: Number(slider?.min), to: Number(slider?.max) };
  });
  expect(drawn.labels.length).toBeGreaterThan(4);
  for (const { own, other } of drawn.labels) expect(own).toBeLessThan(other);
  expect(drawn.ticks.length).toBeGreaterThan(2);
  for (const { at, text } of drawn.ticks) {
    const [, value = '', unit = ''] = /^([\d.]+) (kB|MB)$/.exec(text) ?? [];
    const bytes = Number(value) * (unit === 'MB' ? 1e6 : 1e3);
    // The axis goes from 46 pixels to 14 before the right edge.
    expect(at).toBeCloseTo(46 + ((bytes - drawn.from) / (drawn.to - drawn.from)) * (drawn.width - 60), 3);
  }
});
