#!/usr/bin/env node
/**
 * `node tools/screenshots.js [folder [state ...]]`: screenshots of the playground at 360 and 1280 pixels, light and
 * dark.
 */

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { chromium as find, FLAGS } from './lib/chromium.js';
import { servePlayground } from './lib/playground.js';
import { say, tool } from './lib/say.js';

/**
 * For each state, its URL fragment and the actions that lead to it.
 * @type {Record<string, { hash?: string, reach: (page: import('playwright-core').Page) => Promise<void> }>}
 */
const STATES = {
  open: {
    reach: async (page) => {
      await page.getByRole('button', { name: /^Shrink to/ }).waitFor();
      await page.waitForTimeout(2000); // the sample is being measured
    },
  },
  done: {
    reach: async (page) => {
      await page.getByRole('button', { name: /^Shrink to/ }).click();
      await page.getByRole('link', { name: 'Save the file' }).waitFor();
    },
  },
  mix: {
    reach: async (page) => {
      await page.getByText('measured on all of them').waitFor();
      await page.getByLabel('the best mix of types').check();
      await page.getByRole('button', { name: 'Shrink to the best mix' }).waitFor();
    },
  },
  compared: {
    hash: '#/?preset=Q4_K_M&type=ffn_down=Q6_K&output=Q8_0&vs=preset%3DQ5_K_S',
    reach: async (page) => {
      await page.getByText('measured on all of them').waitFor();
      await page.getByText(/tensors? differs?$/).click();
      await page.getByText('More options').click();
      await page.getByRole('button', { name: 'A URL' }).click();
    },
  },
  tried: {
    reach: async (page) => {
      await page.getByRole('button', { name: /^Shrink to/ }).click();
      await page.getByRole('link', { name: 'Save the file' }).waitFor();
      await page.getByRole('button', { name: 'Load llama.cpp' }).click();
      await page.getByRole('button', { name: 'Try both' }).click();
      await page.getByText('Same next token').waitFor({ timeout: 60_000 });
      await page.getByRole('button', { name: 'Stop' }).click();
    },
  },
  blocks: { hash: '#/blocks', reach: (page) => page.locator('.chart .row').first().waitFor() },
  'blocks-byte': {
    hash: '#/blocks?format=IQ2_XXS',
    reach: (page) => page.locator('[data-i="9"]').click(),
  },
  'blocks-model': {
    hash: '#/blocks?format=Q5_0',
    reach: async (page) => {
      await page.getByRole('button', { name: 'From the open model' }).click();
      await page.getByRole('button', { name: 'Use it' }).click();
    },
  },
  benchmarks: {
    hash: '#/benchmarks',
    reach: async (page) => {
      await page.getByRole('button', { name: 'Run all three' }).click();
      await page.getByText(/^Encoding runs at/).waitFor({ timeout: 120_000 });
    },
  },
};

await tool(async () => {
  const [folder = '.cache/screenshots', ...names] = process.argv.slice(2);
  await mkdir(folder, { recursive: true });
  const url = await servePlayground(Number(process.env.PORT ?? 4174));
  const browser = await chromium.launch({ executablePath: await find(), args: FLAGS });
  for (const width of [360, 1280]) {
    for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
      for (const [state, { hash = '', reach }] of Object.entries(STATES)) {
        if (names.length > 0 && !names.includes(state)) continue;
        const page = await browser.newPage({ viewport: { width, height: 800 }, colorScheme });
        await page.goto(url + hash);
        await reach(page);
        await page.mouse.move(0, 0);
        const path = join(folder, `${state}-${width}-${colorScheme}.png`);
        await page.screenshot({ path, fullPage: true });
        say(path);
        await page.close();
      }
    }
  }
  await browser.close();
  process.exit(0); // the server would keep the process running
});
