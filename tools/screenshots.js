#!/usr/bin/env node
/** `node tools/screenshots.js [folder]`: the playground's states at 360 and 1280 pixels, light and dark, to be looked at. */

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { chromium as find, FLAGS } from './lib/chromium.js';
import { servePlayground } from './lib/playground.js';
import { say, tool } from './lib/say.js';

await tool(async () => {
  const folder = process.argv[2] ?? '.cache/screenshots';
  await mkdir(folder, { recursive: true });
  const url = await servePlayground(Number(process.env.PORT ?? 4174));
  const browser = await chromium.launch({ executablePath: await find(), args: FLAGS });
  for (const width of [360, 1280]) {
    for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
      const page = await browser.newPage({ viewport: { width, height: 800 }, colorScheme });
      const shoot = async (/** @type {string} */ state) => {
        const path = join(folder, `${state}-${width}-${colorScheme}.png`);
        await page.screenshot({ path, fullPage: true });
        say(path);
      };
      await page.goto(url);
      const start = page.getByRole('button', { name: /^Shrink to/ });
      await start.waitFor();
      await shoot('open');
      await start.click();
      await page.getByRole('link', { name: 'Save the file' }).waitFor();
      await shoot('done');
      await page.close();
    }
  }
  await browser.close();
  process.exit(0); // the server would keep the process
});
