/** The package in a page without any bundler. */

import { readFileSync } from 'node:fs';
import type { Browser } from 'playwright-core';
import * as quantpress from 'quantpress';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { importIn, launch, open } from './support/browser.js';
import { type Server, serve } from './support/server.js';

const PAGE = `<!doctype html><link rel="icon" href="data:,"><script type="importmap">
  { "imports": { "quantpress": "/browser.js", "quantpress/slim": "/slim.js", "quantpress/inline": "/inline.js",
    "quantpress/bundle": "/bundle.js" } }
</script>`;

let browser: Browser;
let server: Server;

beforeAll(async () => {
  await quantpress.init();
  const wasm = readFileSync('dist/quantpress.wasm');
  server = await serve('dist', {
    '/': { type: 'text/html', body: PAGE },
    '/untyped.wasm': { type: 'application/octet-stream', body: wasm },
    '/fallback.wasm': { type: 'text/html', body: '<!doctype html><title>Not found</title>' },
  });
  browser = await launch();
});

afterAll(async () => {
  await browser?.close();
  await server?.close();
});

describe.each(['quantpress', 'quantpress/inline', 'quantpress/bundle'])('%s', (entry) => {
  test('encodes every format to the same bytes as in Node', async () => {
    const { page, problems } = await open(browser, server.url);
    const module = await importIn<typeof quantpress>(page, entry);
    const inPage = await page.evaluate(async ({ dequantize, formats, init, quantize }) => {
      await Promise.all([init(), init()]);
      const weights = Float32Array.from({ length: 1024 }, (_, index) => Math.fround(((index * 7919) % 2003) / 997 - 1));
      const importance = Float32Array.from({ length: 512 }, (_, index) => 1 + (index % 7));
      return formats()
        .filter(({ canEncode, name }) => canEncode && !/^I\d/.test(name))
        .map(({ name }) => {
          const bytes = quantize(weights, name, { rowLength: 512, importance });
          return { name, bytes: [...bytes], weights: [...dequantize(bytes, name)] };
        });
    }, module);
    expect(problems).toEqual([]);
    expect(inPage.length).toBeGreaterThan(3);
    const weights = Float32Array.from({ length: 1024 }, (_, index) => Math.fround(((index * 7919) % 2003) / 997 - 1));
    const importance = Float32Array.from({ length: 512 }, (_, index) => 1 + (index % 7));
    for (const { name, bytes, weights: decoded } of inPage) {
      const here = quantpress.quantize(weights, name, { rowLength: 512, importance });
      expect(bytes, name).toEqual([...here]);
      expect(decoded, name).toEqual([...quantpress.dequantize(here, name)]);
    }
    await page.close();
  });
});

test('quantpress/bundle is one file, whose modules are requested when they are needed', async () => {
  const { page, problems } = await open(browser, server.url);
  const requested: string[] = [];
  page.on('request', (request) => requested.push(request.url()));
  const module = await importIn<typeof import('quantpress/bundle')>(page, 'quantpress/bundle');
  const size = await page.evaluate(async ({ init, openModel, quantizeModel }) => {
    await init();
    const tensor = { dtype: 'F32', shape: [2, 32], data_offsets: [0, 256] };
    const header = new TextEncoder().encode(JSON.stringify({ 'a.weight': tensor }));
    const file = new Uint8Array(8 + header.length + 256);
    new DataView(file.buffer).setUint32(0, header.length, true);
    file.set(header, 8);
    const model = await openModel(file);
    // In a worker, which is in the file.
    let size = 0;
    const stream = new WritableStream<Uint8Array>({
      write: ({ length }) => {
        size += length;
      },
    });
    await quantizeModel(model, stream, { preset: 'Q8_0', plain: true }, { workers: 1 });
    return size;
  }, module);
  expect(problems).toEqual([]);
  expect(size).toBeGreaterThan(100);
  const files = requested.filter((url) => url.startsWith(server.url)).map((url) => new URL(url).pathname);
  expect(files).toEqual(['/bundle.js', '/quantpress.wasm', '/quantpress-model.wasm', '/quantpress-convert.wasm']);
  await page.close();
});

describe('quantpress/slim', () => {
  const load = async (wasm: string) => {
    const { page } = await open(browser, server.url);
    const module = await importIn<typeof import('quantpress/slim')>(page, 'quantpress/slim');
    const result = await page.evaluate(
      async ([{ formats, init }, wasm]) => {
        try {
          await init({ wasm });
          return { formats: formats().length };
        } catch (error) {
          const { code, message } = error as quantpress.QuantpressError;
          return { code, message };
        }
      },
      [module, wasm] as const,
    );
    await page.close();
    return result;
  };

  test('accepts a URL, even if the server sends no WebAssembly media type', async () => {
    expect(await load('/quantpress.wasm')).toEqual({ formats: quantpress.formats().length });
    expect(await load('/untyped.wasm')).toEqual({ formats: quantpress.formats().length });
  });

  test('names what the server sent instead of WebAssembly', async () => {
    expect(await load('/fallback.wasm')).toMatchObject({
      code: 'MAGIC',
      message: expect.stringContaining('an HTML page'),
    });
    expect(await load('/missing.wasm')).toMatchObject({ code: 'NOT_FOUND', message: expect.stringContaining('404') });
  });
});
