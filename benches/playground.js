#!/usr/bin/env node
/**
 * The playground as a person experiences it: time until something is visible, and responsiveness with a large file
 * open.
 *
 * `node benches/playground.js` prints the results, `--record` writes them to `benches/results/playground.md`. It
 * measures www/dist/, so run `npm start` or `npm test` first. Page loads use a fresh browser profile and a local
 * connection, with and without a fourfold CPU slowdown, and are measured with the browser's performance API. Frames are
 * counted with `requestAnimationFrame` while the page is scrolled and its charts are used. Memory is the proportional
 * set size of the page's process, including workers and WebAssembly.
 */

import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { loadavg, tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { chromium as launcher } from 'playwright-core';
import * as quantpress from '../dist/node.js';
import { chromium, FLAGS } from '../tools/lib/chromium.js';
import { writeModel } from './lib/model.js';
import { report, root, table } from './lib/record.js';

const ROUNDS = 5;
const LAYERS = 8; // 1.04 GB
const VIEWS = { Shrink: '', Blocks: '#/blocks', Benchmarks: '#/benchmarks' };
const TYPES = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.wasm': 'application/wasm',
  '.svg': 'image/svg+xml',
  '.webmanifest': 'application/manifest+json',
};

const server = createServer((request, response) => {
  const path = new URL(request.url ?? '/', 'http://localhost').pathname;
  const file = join(root, 'www/dist', path === '/' ? 'index.html' : path);
  try {
    const body = readFileSync(file);
    const type = TYPES[/** @type {keyof typeof TYPES} */ (extname(file))] ?? 'application/octet-stream';
    response.writeHead(200, { 'content-type': type }).end(body);
  } catch {
    response.writeHead(404).end();
  }
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
const address = server.address();
if (address === null || typeof address === 'string') throw new Error('the server has no port');
const url = `http://127.0.0.1:${address.port}/`;
const folder = mkdtempSync(join(tmpdir(), 'quantpress-bench-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const browser = await launcher.launch({ executablePath: await chromium(), args: FLAGS });

/** @param {number[]} values */
const median = (values) => values.sort((a, b) => a - b)[values.length >> 1] ?? 0;
const ms = (/** @type {number} */ value) => `${value.toFixed(0)} ms`;
const fps = (/** @type {number} */ value) => value.toFixed(1);
const mb = (/** @type {number} */ value) => `${value.toFixed(0)} MB`;

/**
 * Loads a view in a fresh profile.
 * @param {string} hash @param {number} slowed the CPU slowdown factor
 */
async function load(hash, slowed) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  const page = await context.newPage();
  const session = await context.newCDPSession(page);
  await session.send('Emulation.setCPUThrottlingRate', { rate: slowed });
  await page.goto(url + hash);
  await page.waitForTimeout(1500 * Math.sqrt(slowed));
  const measured = await page.evaluate(async () => {
    /** @param {string} type */
    const entries = (type) =>
      new Promise((resolve) => {
        const observer = new PerformanceObserver((list) => resolve(list.getEntries().map((entry) => entry.toJSON())));
        observer.observe({ type, buffered: true });
        setTimeout(resolve, 200, []);
      });
    const [paint] = performance.getEntriesByName('first-contentful-paint');
    const [tasks, shifts, paints] = await Promise.all(
      ['longtask', 'layout-shift', 'largest-contentful-paint'].map(entries),
    );
    return {
      first: paint?.startTime ?? Number.NaN,
      largest: paints.at(-1)?.startTime ?? Number.NaN,
      // The part of each task beyond 50 ms: an upper bound for the delay of a click.
      blocked: tasks.reduce(
        (/** @type {number} */ sum, /** @type {{ duration: number }} */ { duration }) =>
          sum + Math.max(0, duration - 50),
        0,
      ),
      longest: tasks.reduce(
        (/** @type {number} */ most, /** @type {{ duration: number }} */ { duration }) => Math.max(most, duration),
        0,
      ),
      shift: shifts.reduce((/** @type {number} */ sum, /** @type {{ value: number }} */ { value }) => sum + value, 0),
      scripts: performance.getEntriesByType('resource').map(({ name }) => name),
    };
  });
  await context.close();
  return measured;
}

const [load1 = 0] = loadavg();
const loads = [];
let scripts = '';
for (const [view, hash] of Object.entries(VIEWS)) {
  for (const slowed of [1, 4]) {
    const rounds = [];
    for (let round = 0; round < ROUNDS; round += 1) rounds.push(await load(hash, slowed));
    const of = (/** @type {'first' | 'largest' | 'blocked' | 'longest' | 'shift'} */ name) =>
      median(rounds.map((one) => one[name]));
    const cells = [ms(of('first')), ms(of('largest')), ms(of('blocked')), ms(of('longest')), of('shift').toFixed(3)];
    loads.push([`${view}${slowed > 1 ? ', CPU slowed down 4 times' : ''}`, ...cells]);
    console.log(loads.at(-1)?.join('  '));
  }
  if (hash === '') {
    const { scripts: names } = await load(hash, 1);
    const files = names.map((name) => new URL(name).pathname).filter((path) => /^\/assets\/.*\.js$/.test(path));
    const sizes = files.map((path) => gzipSync(readFileSync(join(root, 'www/dist', path))).length);
    scripts = `${(sizes.reduce((sum, size) => sum + size, 0) / 1000).toFixed(1)} kB in ${files.length} files`;
  }
}

// A large file.
await quantpress.init();
const input = join(folder, 'large-f16.gguf');
writeModel(input, LAYERS);
const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, acceptDownloads: false });
const page = await context.newPage();
const control = await browser.newBrowserCDPSession();

/** Proportional set size of the pages' processes in megabytes. */
async function memory() {
  const { processInfo } = await control.send('SystemInfo.getProcessInfo');
  let sum = 0;
  for (const { type, id } of processInfo) {
    if (type !== 'renderer') continue;
    try {
      sum += Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${id}/smaps_rollup`, 'utf8'))?.[1] ?? 0) / 1024;
    } catch {
      // The process has ended in the meantime.
    }
  }
  return sum;
}
let peak = 0;
const watch = setInterval(async () => {
  peak = Math.max(peak, await memory().catch(() => 0));
}, 250);
/** The maximum since the last call. */
const highest = async () => {
  await new Promise((resolve) => setTimeout(resolve, 400));
  const value = peak;
  peak = 0;
  return value;
};

/** Frames per second while `act` is repeated. @param {string} what @param {() => Promise<void>} act */
async function frames(what, act) {
  await page.evaluate(() => {
    const times = /** @type {number[]} */ ([]);
    Reflect.set(globalThis, 'frameTimes', times);
    const tick = (/** @type {number} */ now) => {
      times.push(now);
      Reflect.set(globalThis, 'frameRequest', requestAnimationFrame(tick));
    };
    requestAnimationFrame(tick);
  });
  const until = performance.now() + 4000;
  while (performance.now() < until) await act();
  const times = await page.evaluate(() => {
    cancelAnimationFrame(Reflect.get(globalThis, 'frameRequest'));
    return /** @type {number[]} */ (Reflect.get(globalThis, 'frameTimes'));
  });
  const gaps = times.slice(1).map((time, i) => time - (times[i] ?? 0));
  const sorted = gaps.toSorted((a, b) => a - b);
  const rate = (1000 * gaps.length) / gaps.reduce((sum, gap) => sum + gap, 0);
  const row = [
    what,
    fps(rate),
    ms(sorted[Math.floor(sorted.length * 0.95)] ?? 0),
    ms(sorted.at(-1) ?? 0),
    mb(await highest()),
  ];
  console.log(row.join('  '));
  return row;
}

let down = true;
const scroll = async () => {
  await page.evaluate(
    ({ down }) =>
      new Promise((resolve) => {
        let left = 30;
        const step = () => {
          scrollBy(0, down ? 60 : -60);
          left -= 1;
          if (left > 0) requestAnimationFrame(step);
          else resolve(undefined);
        };
        requestAnimationFrame(step);
      }),
    { down },
  );
  down = !down;
};
/** Moves the pointer back and forth over an element. @param {string} selector @param {boolean} [pressed] */
const sweep = (selector, pressed) => async () => {
  const box = await page.locator(selector).first().boundingBox();
  if (!box) return;
  const [x, y] = [box.x + 60, box.y + box.height / 2];
  await page.mouse.move(x, y);
  if (pressed) await page.mouse.down();
  await page.mouse.move(x + box.width - 120, y - box.height / 4, { steps: 40 });
  if (pressed) await page.mouse.up();
};

await page.goto(url);
await page.getByRole('button', { name: 'Shrink to Q4_K_M' }).waitFor();
await page.waitForTimeout(2000);
const rows = [];
const sample = await highest();
await page.locator('input[type=file]').first().setInputFiles(input);
await page.getByText('large-f16.gguf').first().waitFor();
rows.push(await frames('scrolling, during the measurement', scroll));
await page.waitForTimeout(15_000);
await page.evaluate(() => scrollTo(0, 0));
await highest();
rows.push(await frames('scrolling, after the measurement', scroll));
await page.locator('main svg').first().scrollIntoViewIfNeeded();
rows.push(await frames('the pointer over the first chart', sweep('main svg')));
await page.evaluate(() => scrollTo(0, 0));
const from = performance.now();
await page.getByRole('button', { name: 'Shrink to Q4_K_M' }).click();
rows.push(await frames('scrolling, during a job', scroll));
await page.getByRole('link', { name: /Save the file/ }).waitFor({ timeout: 600_000 });
const seconds = (performance.now() - from) / 1000;
const shrinking = Math.max(await highest(), ...[]);
await page.getByRole('link', { name: 'Blocks' }).click();
await page.locator('.chart .row').first().waitFor();
rows.push(await frames('Blocks: the pointer over the weights', sweep('.chart .row')));
rows.push(await frames('Blocks: drawing weights, each encoded immediately', sweep('.chart .row', true)));
rows.push(await frames('Blocks: the pointer over the bytes', sweep('.hex')));
clearInterval(watch);
const size = statSync(input).size;
const version = browser.version();
await browser.close();
server.close();

report(
  'playground',
  'The playground',
  `\`npm run bench playground\` writes this file; Chromium ${version}, 1280 by 900 pixels, headless, with at
most sixty frames per second. The machine's load was ${load1.toFixed(1)} at the start (0 is idle). Page loads are medians of ${ROUNDS},
each with a new profile. "Blocked" is the sum of the page's task times beyond 50 ms each. Memory is the peak of the page's
process with its workers.`,
  `## Page load

JavaScript of the first view, without lazily loaded parts, after gzip: ${scripts}.

${table(['view', 'first paint', 'largest paint', 'blocked', 'longest task', 'layout shift'], loads)}

## With a model of ${(size / 1e9).toFixed(2)} GB open

Memory with only the sample open: ${mb(sample)}. Shrinking the model to Q4_K_M took ${seconds.toFixed(0)} s with a peak of ${mb(shrinking)}.

${table(['', 'frames per second', '95th percentile', 'slowest', 'memory'], rows)}`,
);
process.exit(0);
