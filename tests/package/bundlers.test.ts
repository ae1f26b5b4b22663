/** The packed package with and without bundlers, run in Chromium: the README's lines, and bytes. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { launch } from '../browser/support/browser.js';
import { type Pages, serve } from '../browser/support/server.js';
import { type Consumer, createConsumer } from './support/consumer.js';
import { example, expectedBytes, printBytes, printed } from './support/example.js';

let browser: Browser;
let consumer: Consumer;

beforeAll(async () => {
  consumer = await createConsumer();
  consumer.write({
    'index.html': page('./main.js'),
    'bytes.html': page('./bytes.js'),
    'main.js': example,
    'bytes.js': printBytes('quantpress'),
    'inline.js': printBytes('quantpress/inline'),
    'slim.js': `import { AccuracyBenchmark, init as load, openModel, planModel, quantize } from 'quantpress/slim';
      const modules = {
        model: '/quantpress-model.wasm',
        convert: new URL('/quantpress-convert.wasm', location.href),
        bench: () => fetch('/quantpress-bench.wasm'),
      };
      const init = () => load({ wasm: '/quantpress.wasm', modules });
      ${printBytes('quantpress').replace(/import .*/, '')}`,
    'thread.html': page('./thread.js'),
    'thread.js': `const worker = new Worker(new URL('./bytes.js', import.meta.url), { type: 'module' });
      worker.onerror = ({ message }) => console.log(message ?? 'the worker failed');`,
  });
  browser = await launch();
});

afterAll(async () => {
  await browser?.close();
  consumer?.remove();
});

const page = (script: string): string =>
  `<!doctype html><link rel="icon" href="data:,"><script type="module" src="${script}"></script>`;

/** A built folder in the browser: the bytes equal those of Node. */
async function expectBytes(folder: string, path = '/', pages: Pages = {}): Promise<void> {
  const server = await serve(join(consumer.folder, folder), pages);
  try {
    expect(await firstLine(server.url + path)).toBe(await expectedBytes());
  } finally {
    await server.close();
  }
}

/** The first log of the page at a URL, a result or an error. */
async function firstLine(url: string): Promise<string> {
  const page = await browser.newPage();
  try {
    const line = Promise.race([
      page.waitForEvent('console', (message) => !message.text().startsWith('[vite]')).then((message) => message.text()),
      page.waitForEvent('pageerror').then((error) => error.message),
    ]);
    await page.goto(url);
    return await line;
  } finally {
    await page.close();
  }
}

test('Vite 8 builds a page and a Web Worker', async () => {
  const { build } = await import('vite');
  const input = ['index.html', 'bytes.html', 'thread.html'].map((name) => join(consumer.folder, name));
  await build({
    root: consumer.folder,
    logLevel: 'warn',
    build: { target: 'es2022', outDir: 'vite-8', rolldownOptions: { input } },
    worker: { format: 'es' },
  });
  const server = await serve(join(consumer.folder, 'vite-8'));
  expect(await firstLine(server.url)).toMatch(printed);
  await server.close();
  await expectBytes('vite-8', '/bytes.html');
  await expectBytes('vite-8', '/thread.html');
});

test('Vite 8 serves a page in development', async () => {
  const { createServer } = await import('vite');
  // With its websocket, as in development: without one its page logs an error, before or after our line.
  const server = await createServer({ root: consumer.folder, logLevel: 'warn', server: { port: 0 } });
  await server.listen();
  const url = server.resolvedUrls?.local[0] ?? '';
  expect(await firstLine(url)).toMatch(printed);
  expect(await firstLine(`${url}bytes.html`)).toBe(await expectedBytes());
  await server.close();
});

test("Vite 7 builds a page, and serves it in development with the README's option", async () => {
  const { build, createServer } = (await import('vite-7' as string)) as typeof import('vite');
  const root = consumer.folder;
  await build({ root, logLevel: 'warn', build: { target: 'es2022', outDir: 'vite-7' }, configFile: false });
  const built = await serve(join(root, 'vite-7'));
  expect(await firstLine(built.url)).toMatch(printed);
  await built.close();
  const optimizeDeps = { exclude: ['quantpress'] };
  const server = await createServer({ root, logLevel: 'warn', server: { port: 0 }, optimizeDeps, cacheDir: '.vite-7' });
  await server.listen();
  expect(await firstLine(`${server.resolvedUrls?.local[0]}bytes.html`)).toBe(await expectedBytes());
  await server.close();
});

test('webpack 5 builds a page and a Web Worker', async () => {
  const { default: webpack } = await import('webpack');
  const stats = await new Promise<import('webpack').Stats | undefined>((resolve, reject) => {
    webpack(
      {
        mode: 'production',
        context: consumer.folder,
        entry: { bytes: './bytes.js', thread: './thread.js' },
        output: { path: join(consumer.folder, 'webpack'), publicPath: 'auto' },
      },
      (error, stats) => (error ? reject(error) : resolve(stats)),
    );
  });
  expect(stats?.toJson({ all: false, errors: true }).errors).toEqual([]);
  const html = (script: string) => ({ type: 'text/html', body: page(script) });
  const pages = { '/': html('/bytes.js'), '/thread.html': html('/thread.js') };
  await expectBytes('webpack', '/', pages);
  await expectBytes('webpack', '/thread.html', pages);
});

/** The WebAssembly files of the package, as a server has them. */
const engine = (): Pages =>
  Object.fromEntries(
    ['quantpress', 'quantpress-model', 'quantpress-convert', 'quantpress-inference', 'quantpress-bench'].map(
      (module) => {
        const name = `${module}.wasm`;
        const body = readFileSync(join(consumer.folder, 'node_modules/quantpress/dist', name));
        return [`/${name}`, { type: 'application/wasm', body }];
      },
    ),
  );

test.each(['inline', 'slim'])('esbuild bundles quantpress/%s', async (name) => {
  const { build } = await import('esbuild');
  await build({
    entryPoints: [join(consumer.folder, `${name}.js`)],
    outfile: join(consumer.folder, 'esbuild', `${name}.js`),
    bundle: true,
    minify: true,
    format: 'esm',
    logLevel: 'warning',
  });
  await expectBytes('esbuild', '/', {
    '/': { type: 'text/html', body: page(`/${name}.js`) },
    ...engine(),
  });
});

test.each(['inline', 'slim'])('Rollup with only module resolution bundles quantpress/%s', async (name) => {
  const { rollup } = await import('rollup');
  const bundle = await rollup({
    input: join(consumer.folder, `${name}.js`),
    onwarn: ({ message }) => {
      throw new Error(message);
    },
    plugins: [
      {
        name: 'packages',
        resolveId: (id) =>
          id.startsWith('quantpress/')
            ? join(consumer.folder, 'node_modules/quantpress/dist', `${id.split('/')[1]}.js`)
            : null,
      },
    ],
  });
  await bundle.write({ file: join(consumer.folder, 'rollup', `${name}.js`), format: 'es' });
  await expectBytes('rollup', '/', {
    '/': { type: 'text/html', body: page(`/${name}.js`) },
    ...engine(),
  });
});

test('an import map and the folder of the package work without a bundler', async () => {
  const map = JSON.stringify({ imports: { quantpress: '/node_modules/quantpress/dist/browser.js' } });
  const body = `<!doctype html><link rel="icon" href="data:,"><script type="importmap">${map}</script>
    <script type="module">${example}</script>`;
  const server = await serve(consumer.folder, {
    '/bare/': { type: 'text/html', body },
    '/bare/bytes/': { type: 'text/html', body: body.replace(example, printBytes('quantpress')) },
  });
  expect(await firstLine(`${server.url}/bare/`)).toMatch(printed);
  expect(await firstLine(`${server.url}/bare/bytes/`)).toBe(await expectedBytes());
  await server.close();
});
