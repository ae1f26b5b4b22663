/** wllama, which cannot load a single file of 2 GB or more, loads shards that the package writes. */

import { readFileSync } from 'node:fs';
import type { Browser } from 'playwright-core';
import { init, MemoryTarget, openModel, quantizeModel } from 'quantpress';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WHALE } from '../js/support/whale.js';
import { importIn, launch } from './support/browser.js';
import { type Pages, type Server, serve } from './support/server.js';

const STORY = 'The white';

let browser: Browser;
let server: Server;
let shards: string[];

beforeAll(async () => {
  await init();
  const model = await openModel(WHALE);
  const targets: MemoryTarget[] = [];
  const set = () => {
    const target = new MemoryTarget();
    targets.push(target);
    return target;
  };
  await quantizeModel(model, set, { preset: 'Q8_0', splitMaxSize: '1.5MB' });
  const whole = new MemoryTarget();
  await quantizeModel(model, whole, 'Q8_0');
  await model.close();
  const pages: Pages = {
    '/': { type: 'text/html', body: '<!doctype html><link rel="icon" href="data:,">' },
    '/whole.gguf': { type: 'application/octet-stream', body: whole.bytes ?? '' },
  };
  shards = targets.map((_, index) => `/shard-${index}.gguf`);
  for (const [index, { bytes }] of targets.entries()) {
    pages[`/shard-${index}.gguf`] = { type: 'application/octet-stream', body: bytes ?? '' };
  }
  for (const [name, type] of [
    ['index.js', 'text/javascript'],
    ['single-thread/wllama.wasm', 'application/wasm'],
  ] as const) {
    pages[`/wllama/${name}`] = { type, body: readFileSync(`node_modules/@wllama/wllama/esm/${name}`) };
  }
  server = await serve('dist', pages);
  browser = await launch();
});

afterAll(async () => {
  await browser?.close();
  await server?.close();
});

interface Wllama {
  Wllama: new (
    paths: Record<string, string>,
    options: object,
  ) => {
    loadModel(files: Blob[], options: object): Promise<void>;
    createCompletion(prompt: string, options: object): Promise<string>;
    exit(): Promise<void>;
  };
}

test('shards generate the same completion as the whole file', async () => {
  const page = await browser.newPage();
  await page.goto(server.url);
  const module = await importIn<Wllama>(page, '/wllama/index.js');
  const told = await page.evaluate(
    async ([{ Wllama }, prompt, ...sets]) => {
      const stories: string[] = [];
      for (const names of sets) {
        const blobs = await Promise.all(names.map(async (name) => (await fetch(name)).blob()));
        const wllama = new Wllama(
          { 'single-thread/wllama.wasm': '/wllama/single-thread/wllama.wasm' },
          { suppressNativeLog: true },
        );
        await wllama.loadModel(blobs, { n_ctx: 128, n_threads: 1 });
        stories.push(await wllama.createCompletion(prompt, { nPredict: 12, sampling: { temp: 0 } }));
        await wllama.exit();
      }
      return stories;
    },
    [module, STORY, ['/whole.gguf'], shards] as const,
  );
  expect(shards.length).toBeGreaterThan(2);
  expect(told[0]).toMatch(/[a-z]{3,} [a-z]{2,}/i);
  expect(told[1]).toBe(told[0]);
});
