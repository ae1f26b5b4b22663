/**
 * Accessibility of every view: no serious violation in axe, light and dark, wide and narrow; and keyboard operation.
 */

import { readFile } from 'node:fs/promises';
import type { AxeResults } from 'axe-core';
import type { Page } from 'playwright-core';
import { beforeAll, expect, test } from 'vitest';
import { open } from './support/browser.js';
import { useServed } from './support/playground.js';

const app = useServed();

let axe: string;

beforeAll(async () => {
  axe = await readFile('node_modules/axe-core/axe.min.js', 'utf8');
});

/** The serious violations that axe finds, as sentences. */
async function findings(page: Page): Promise<string[]> {
  await page.evaluate(axe);
  const { violations } = await page.evaluate<AxeResults>('axe.run(document, { resultTypes: ["violations"] })');
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, help, nodes }) =>
      nodes.map(({ target, html }) => `${id}: ${help}: ${target} ${html.slice(0, 120)}`),
    );
}

/** Each view in each visually different state. */
const VIEWS: Record<string, { hash: string; ready: (page: Page) => Promise<void> }> = {
  Shrink: {
    hash: '#/',
    ready: async (page) => {
      await page.getByRole('button', { name: 'Shrink to Q4_K_M' }).waitFor();
    },
  },
  'Shrink, done': {
    hash: '#/',
    ready: async (page) => {
      await page.getByRole('button', { name: 'Shrink to Q4_K_M' }).click();
      await page.getByRole('link', { name: 'Save the file' }).waitFor();
    },
  },
  Blocks: {
    hash: '#/blocks',
    ready: async (page) => {
      await page.locator('[data-i="143"]').waitFor();
    },
  },
  'Blocks, a byte looked at, its tables and forms open': {
    hash: '#/blocks?format=IQ2_XXS',
    ready: async (page) => {
      await page.locator('[data-i="9"]').click();
      await page.locator('.twin summary').click();
      await page.getByRole('button', { name: 'Custom numbers' }).click();
    },
  },
  'Blocks, from the model': {
    hash: '#/blocks?format=Q8_K',
    ready: async (page) => {
      await page.getByRole('button', { name: 'From the open model' }).click();
      await page.getByLabel('Tensor').waitFor();
    },
  },
  Benchmarks: {
    hash: '#/benchmarks',
    ready: async (page) => {
      await page.getByRole('button', { name: 'Run all three' }).waitFor();
    },
  },
  'Benchmarks, done': {
    hash: '#/benchmarks',
    ready: async (page) => {
      for (const title of ['Signal to noise by bit width', 'Accuracy after quantization']) {
        const part = page.getByRole('region', { name: title, exact: true });
        await part.getByRole('button', { name: 'Run' }).click();
        await part.locator('.finding strong').first().waitFor();
        await part.locator('.twin summary').click();
      }
    },
  },
};

// One page for all sizes, because reaching the state takes time.
test.each(Object.entries(VIEWS))(
  '%s has no accessibility violation, light or dark, wide or narrow',
  async (_, { hash, ready }) => {
    const { page, problems } = await open(app.browser, `${app.url}/${hash}`);
    await page.emulateMedia({ reducedMotion: 'reduce' });
    await page.setViewportSize({ width: 1280, height: 900 });
    await ready(page);
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      for (const [width, height] of [
        [1280, 900],
        [360, 740],
      ] as const) {
        await page.setViewportSize({ width, height });
        expect(await findings(page), `${colorScheme}, ${width} pixels`).toEqual([]);
      }
    }
    // Nothing overflows a narrow page, down to 320 pixels.
    await page.setViewportSize({ width: 320, height: 640 });
    await expect
      .poll(() => page.evaluate(() => document.documentElement.scrollWidth - innerWidth))
      .toBeLessThanOrEqual(0);
    expect(problems).toEqual([]);
    await page.close();
  },
);

/** The focused element, by name or by class. */
const focused = (page: Page): Promise<string> =>
  page.evaluate(() => {
    const element = document.activeElement;
    return (element?.getAttribute('aria-label') ?? element?.textContent ?? '').trim().replace(/\s+/g, ' ').slice(0, 60);
  });

test('the keyboard alone reaches and leaves every view, and the first Tab stop skips the navigation', async () => {
  const { page, problems } = await open(app.browser, app.url);
  await page.getByRole('button', { name: 'Shrink to Q4_K_M' }).waitFor();
  await page.keyboard.press('Tab');
  expect(await focused(page)).toBe('Skip to the content');
  await page.keyboard.press('Enter');
  expect(await page.evaluate(() => document.activeElement?.tagName)).toBe('MAIN');
  await page.getByRole('link', { name: 'Blocks' }).focus();
  await page.keyboard.press('Enter');
  await page.locator('.hex').waitFor();
  expect(await page.evaluate(() => document.activeElement?.tagName)).toBe('MAIN');
  const stops: string[] = [];
  for (let i = 0; i < 40; i += 1) {
    await page.keyboard.press('Tab');
    // After the last stop the browser's own controls have the focus.
    if (await page.evaluate(() => document.activeElement === document.body)) break;
    const stop = await focused(page);
    // The focus is visible.
    const seen = await page.evaluate(() => {
      const element = document.activeElement;
      const shown = element?.matches('input') ? (element.closest('label') ?? element) : element;
      return shown ? getComputedStyle(shown).outlineStyle : 'none';
    });
    expect(seen, stop).not.toBe('none');
    stops.push(stop);
  }
  expect(stops).toContain('Weight 0 of 256');
  expect(stops.filter((stop) => stop.startsWith('byte '))).toEqual(['byte 0, d: a8']);
  expect(problems).toEqual([]);
  await page.close();
});

test('the keyboard alone starts and stops a benchmark', async () => {
  const { page, problems } = await open(app.browser, `${app.url}/#/benchmarks`);
  const part = page.getByRole('region', { name: 'Speed on this machine', exact: true });
  await part.getByRole('button', { name: 'Run' }).focus();
  await page.keyboard.press('Enter');
  // The pressed button has become the stop button and still has the focus.
  await part.getByRole('button', { name: 'Stop' }).waitFor();
  expect(await focused(page)).toBe('Stop');
  await page.keyboard.press('Enter');
  await part.locator('p', { hasText: 'Stopped early' }).waitFor();
  expect(problems).toEqual([]);
  await page.close();
});
