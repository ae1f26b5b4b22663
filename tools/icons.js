#!/usr/bin/env node
/**
 * `node tools/icons.js`: renders the playground's icons as PNG from www/public/icon.svg. Run it after changing that
 * file.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { chromium } from 'playwright-core';
import { chromium as find, FLAGS } from './lib/chromium.js';
import { at } from './lib/run.js';
import { say, tool } from './lib/say.js';

/** Maskable icons are cut to any shape, so the drawing stays in the middle and the background extends to the edge. */
const ICONS = [
  { name: 'icon-192.png', size: 192, maskable: false },
  { name: 'icon-512.png', size: 512, maskable: false },
  { name: 'icon-maskable-512.png', size: 512, maskable: true },
];

await tool(async () => {
  const svg = readFileSync(at('www/public/icon.svg'), 'utf8');
  const browser = await chromium.launch({ executablePath: await find(), args: FLAGS });
  const page = await browser.newPage();
  for (const { name, size, maskable } of ICONS) {
    await page.setViewportSize({ width: size, height: size });
    const ground = /<rect[^>]*fill="([^"]+)"/.exec(svg)?.[1] ?? 'none';
    const [shape, margin] = maskable ? [svg.replace(/ rx="[^"]*"/, ''), size * 0.1] : [svg, 0];
    const style = `margin:0;padding:${margin}px;background:${maskable ? ground : 'transparent'}`;
    await page.setContent(`<body style="${style}">${shape.replace('<svg', '<svg style="display:block;width:100%"')}`);
    writeFileSync(at('www/public', name), await page.screenshot({ omitBackground: !maskable }));
    say(`www/public/${name}`);
  }
  await browser.close();
});
