/** Whole models in a page, in Web Workers: the bytes they have in Node. */

import { readFileSync } from 'node:fs';
import type { Browser } from 'playwright-core';
import type * as quantpress from 'quantpress';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WHALE, WHALE_IMATRIX, WHALE_IMATRIX_SHA256, WHALE_SHA256 } from '../js/support/whale.js';
import { importIn, launch, open } from './support/browser.js';
import { type Server, serve } from './support/server.js';

let browser: Browser;
let server: Server;

beforeAll(async () => {
  const type = 'application/octet-stream';
  server = await serve('dist', {
    '/': { type: 'text/html', body: '<!doctype html><link rel="icon" href="data:,"><title>Quantpress</title>' },
    '/whale.gguf': { type, body: readFileSync(WHALE) },
    '/imatrix.gguf': { type, body: readFileSync(WHALE_IMATRIX) },
    '/broken.js': { type: 'text/javascript', body: 'throw new Error("broken")' },
  });
  browser = await launch();
});

afterAll(async () => {
  await browser?.close();
  await server?.close();
});

/** What a test asks of the page. */
interface Job {
  recipe: quantpress.Recipe;
  target: 'memory' | 'blob' | 'opfs';
  workers?: number;
  imatrix?: boolean;
  workerUrl?: string;
  /** The module the page imports. */
  entry?: string;
  /** Abort at the first progress. */
  abort?: boolean;
}

/** What the page gives back: the sha256 of the result, or the error. */
interface Result {
  sha256?: string;
  error?: { name: string; code?: string | undefined; message: string };
  progress: number;
  /** What OPFS holds afterwards. */
  files: string[];
}

async function run(job: Job): Promise<Result> {
  const { page, problems } = await open(browser, server.url);
  const module = await importIn<typeof quantpress>(page, job.entry ?? '/browser.js');
  const result = await page.evaluate(
    async ([quantpress, job]): Promise<Result> => {
      await quantpress.init();
      const file = new File([await (await fetch('/whale.gguf')).blob()], 'whale.gguf');
      const imatrix = job.imatrix ? new File([await (await fetch('/imatrix.gguf')).blob()], 'imatrix.gguf') : undefined;
      const storage = await navigator.storage.getDirectory();
      const handle = await storage.getFileHandle('out.gguf', { create: true });
      const memory = new quantpress.MemoryTarget();
      const blob = new quantpress.BlobTarget();
      const target = job.target === 'memory' ? memory : job.target === 'blob' ? blob : handle;
      const stop = new AbortController();
      let progress = 0;
      const outcome: { sha256?: string; error?: NonNullable<Result['error']> } = {};
      const model = await quantpress.openModel(file);
      try {
        await quantpress.quantizeModel(model, target, job.recipe, {
          workers: job.workers,
          workerUrl: job.workerUrl,
          imatrix,
          signal: stop.signal,
          onProgress: () => {
            progress += 1;
            if (job.abort) stop.abort();
          },
        });
        const result = memory.bytes ?? new Uint8Array(await (blob.blob ?? (await handle.getFile())).arrayBuffer());
        const sum = new Uint8Array(await crypto.subtle.digest('SHA-256', result));
        outcome.sha256 = [...sum].map((byte) => byte.toString(16).padStart(2, '0')).join('');
      } catch (error) {
        const { name, message, code } = error as quantpress.QuantpressError;
        outcome.error = { name, message, code: typeof code === 'string' ? code : undefined };
      }
      await model.close();
      const left = (await handle.getFile()).size;
      const files: string[] = [];
      for await (const name of storage.keys()) files.push(name === 'out.gguf' ? `${name}: ${left}` : name);
      await storage.removeEntry('out.gguf');
      return { ...outcome, progress, files };
    },
    [module, job] as const,
  );
  await page.close();
  if (!job.workerUrl) expect(problems).toEqual([]);
  return result;
}

const recipe = (preset: string) => ({ preset });

test.each(['Q4_0', 'Q8_0', 'Q6_K', 'Q4_K_M'] as const)('%s has the bytes of llama_model_quantize', async (preset) => {
  const { sha256, progress } = await run({ recipe: recipe(preset), target: 'memory' });
  expect(sha256).toBe(WHALE_SHA256[preset]);
  expect(progress).toBeGreaterThan(10);
});

test('with the importance matrix', async () => {
  const recipe = { preset: 'Q4_K_M', imatrixFile: 'tiny-whale.imatrix.gguf' };
  const { sha256 } = await run({ recipe, target: 'memory', imatrix: true });
  expect(sha256).toBe(WHALE_IMATRIX_SHA256);
});

test.each([0, 1, 4])('with %i workers', async (workers) => {
  const { sha256 } = await run({ recipe: recipe('Q4_K_M'), target: 'memory', workers });
  expect(sha256).toBe(WHALE_SHA256.Q4_K_M);
});

test('by the entry that carries its worker in itself', async () => {
  const { sha256 } = await run({ recipe: recipe('Q4_K_M'), target: 'memory', entry: '/inline.js' });
  expect(sha256).toBe(WHALE_SHA256.Q4_K_M);
});

test.each(['blob', 'opfs'] as const)('to %s', async (target) => {
  const { sha256 } = await run({ recipe: recipe('Q4_K_M'), target });
  expect(sha256).toBe(WHALE_SHA256.Q4_K_M);
});

describe('what ends early', () => {
  test('by the caller: the file stays as it was', async () => {
    const { error, files } = await run({ recipe: recipe('Q6_K'), target: 'opfs', abort: true });
    expect(error).toMatchObject({ name: 'AbortError' });
    expect(files).toEqual(['out.gguf: 0']);
  });

  test.each(['/none.js', '/broken.js'])('by a worker that does not start (%s)', async (workerUrl) => {
    const { error, files } = await run({ recipe: recipe('Q6_K'), target: 'opfs', workerUrl });
    expect(error).toMatchObject({ name: 'QuantpressError', code: 'WORKER' });
    expect(files).toEqual(['out.gguf: 0']);
  });
});

test('in a worker of the page, with workers of its own, to a synchronous access handle', async () => {
  const { page, problems } = await open(browser, server.url);
  // As text, because it is a worker's whole script: a Blob has no folder to import from, so the address is a whole one.
  const script = `
    import { init, openModel, quantizeModel } from '${server.url}/browser.js';
    await init();
    const model = await openModel(new URL('${server.url}/whale.gguf'), { fetch: ranged });
    const storage = await navigator.storage.getDirectory();
    const file = await storage.getFileHandle('worker.gguf', { create: true });
    await quantizeModel(model, await file.createSyncAccessHandle(), 'Q4_K_M', { workers: 2 });
    const bytes = await (await file.getFile()).arrayBuffer();
    await storage.removeEntry('worker.gguf');
    postMessage(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)));

    // This server knows no ranges.
    async function ranged(url, { headers }) {
      const [, first, last] = /bytes=(\\d+)-(\\d+)/.exec(headers.Range);
      const all = await (await fetch(url)).arrayBuffer();
      const part = all.slice(Number(first), Number(last) + 1);
      return new Response(part, { status: 206, headers: { 'content-range': \`bytes \${first}-\${last}/\${all.byteLength}\` } });
    }
  `;
  const sum = await page.evaluate(async (script) => {
    const url = URL.createObjectURL(new Blob([script], { type: 'text/javascript' }));
    const worker = new Worker(url, { type: 'module' });
    return new Promise<number[]>((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve([...data]);
      worker.onerror = ({ message }) => reject(new Error(message));
    });
  }, script);
  expect(problems).toEqual([]);
  expect(Buffer.from(sum).toString('hex')).toBe(WHALE_SHA256.Q4_K_M);
  await page.close();
});
