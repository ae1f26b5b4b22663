/** Whole models in a page, in Web Workers, in each engine: the same bytes as in Node. */

import { readFileSync } from 'node:fs';
import {
  BlobTarget,
  init,
  MemoryTarget,
  openImportance,
  openModel,
  OpfsTarget,
  type Progress,
  type QuantizeModelOptions,
  type QuantpressError,
  quantizeModel,
  type Recipe,
  type TargetInput,
  type TargetShard,
} from 'quantpress';
import { beforeAll, describe, expect, test } from 'vitest';
import { WHALE, WHALE_IMATRIX, WHALE_IMATRIX_SHA256, WHALE_SHA256 } from '../js/support/whale.js';

/** Whether the engine has an origin-private file system: WebKitGTK has none. */
const opfs = navigator.storage?.getDirectory !== undefined;

let whale: File;

beforeAll(async () => {
  whale = new File([readFileSync(WHALE) as Uint8Array<ArrayBuffer>], 'whale.gguf');
  await init();
});

async function sha256(content: Uint8Array<ArrayBuffer> | Blob | undefined): Promise<string> {
  const bytes = content instanceof Blob ? await content.arrayBuffer() : (content ?? new Uint8Array());
  const sum = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return [...sum].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

async function convert(target: TargetInput, recipe: Recipe | 'Q4_K_M' | 'Q6_K', options: QuantizeModelOptions = {}) {
  const model = await openModel(whale);
  try {
    return await quantizeModel(model, target, recipe, options);
  } finally {
    await model.close();
  }
}

test.each(['Q4_0', 'Q8_0', 'Q6_K', 'Q4_K_M'] as const)(
  '%s writes the bytes of llama_model_quantize',
  async (preset) => {
    const target = new MemoryTarget();
    let progress = 0;
    await convert(target, { preset }, { onProgress: () => void progress++ });
    expect(await sha256(target.bytes)).toBe(WHALE_SHA256[preset]);
    expect(progress).toBeGreaterThan(10);
  },
);

test('the importance matrix gives the bytes of llama_model_quantize', async () => {
  const target = new MemoryTarget();
  const imatrix = await openImportance(readFileSync(WHALE_IMATRIX));
  await convert(target, { preset: 'Q4_K_M', imatrixFile: 'tiny-whale.imatrix.gguf' }, { imatrix });
  expect(await sha256(target.bytes)).toBe(WHALE_IMATRIX_SHA256);
  imatrix.free();
});

test.each([0, 1, 4])('%i workers write the same bytes', async (workers) => {
  const target = new MemoryTarget();
  await convert(target, 'Q4_K_M', { workers });
  expect(await sha256(target.bytes)).toBe(WHALE_SHA256.Q4_K_M);
});

test('the inline entry writes the same bytes', async () => {
  const inline = await import('quantpress/inline');
  await inline.init();
  const target = new inline.MemoryTarget();
  const model = await inline.openModel(whale);
  await inline.quantizeModel(model, target, 'Q4_K_M');
  await model.close();
  expect(await sha256(target.bytes)).toBe(WHALE_SHA256.Q4_K_M);
});

test('a Blob gets the bytes', async () => {
  const target = new BlobTarget();
  await convert(target, 'Q4_K_M');
  expect(await sha256(target.blob)).toBe(WHALE_SHA256.Q4_K_M);
});

test('a stream gets the bytes', async () => {
  const parts: Blob[] = [];
  const stream = new WritableStream<Uint8Array<ArrayBuffer>>({ write: (bytes) => void parts.push(new Blob([bytes])) });
  await convert(stream, 'Q4_K_M');
  expect(await sha256(new Blob(parts))).toBe(WHALE_SHA256.Q4_K_M);
});

/** The result of a conversion into memory. */
async function failure(options: QuantizeModelOptions): Promise<{ name: string; code?: string; written: boolean }> {
  const target = new MemoryTarget();
  const error: unknown = await convert(target, 'Q6_K', options).then(
    () => new Error('it did not fail'),
    (reason) => reason,
  );
  const { name, code } = error as QuantpressError;
  return { name, ...(typeof code === 'string' && { code }), written: target.isComplete };
}

describe('an early end', () => {
  test("is caused by the caller's signal and leaves nothing", async () => {
    const stop = new AbortController();
    const error = await failure({ signal: stop.signal, onProgress: () => stop.abort() });
    expect(error).toEqual({ name: 'AbortError', written: false });
  });

  test.each([
    ['is missing', 'none.js'],
    ['is broken', URL.createObjectURL(new Blob(['throw new Error("broken")'], { type: 'text/javascript' }))],
  ])('is caused by a worker whose script %s', async (_, workerUrl) => {
    expect(await failure({ workerUrl })).toEqual({ name: 'QuantpressError', code: 'WORKER', written: false });
  });
});

const inStorage = (): void => {
  const file = async (name: string) => {
    const storage = await navigator.storage.getDirectory();
    return storage.getFileHandle(name, { create: true });
  };
  const remove = async (name: string) => (await navigator.storage.getDirectory()).removeEntry(name);

  test('a file handle gets the bytes', async () => {
    const handle = await file('out.gguf');
    await convert(handle, 'Q4_K_M');
    expect(await sha256(await handle.getFile())).toBe(WHALE_SHA256.Q4_K_M);
    await remove('out.gguf');
  });

  test('an aborted conversion leaves the existing file unchanged', async () => {
    const handle = await file('early.gguf');
    const stop = new AbortController();
    const { signal } = stop;
    await expect(convert(handle, 'Q6_K', { signal, onProgress: () => stop.abort() })).rejects.toThrow();
    await expect(convert(handle, 'Q6_K', { workerUrl: 'none.js' })).rejects.toThrow();
    expect((await handle.getFile()).size).toBe(0);
    await remove('early.gguf');
  });

  test('a synchronous access handle gets the bytes, in a worker that starts workers', async () => {
    await file('worker.gguf');
    // As a string, because it is a worker's whole script: a Blob has no folder to import from, so the URL is absolute.
    const script = `
      import { init, openModel, quantizeModel } from '${location.origin}/dist/browser.js';
      onmessage = async ({ data: whale }) => {
        await init();
        const model = await openModel(whale);
        const storage = await navigator.storage.getDirectory();
        const file = await storage.getFileHandle('worker.gguf');
        await quantizeModel(model, await file.createSyncAccessHandle(), 'Q4_K_M', { workers: 2 });
        postMessage(await file.getFile());
      };
    `;
    const url = URL.createObjectURL(new Blob([script], { type: 'text/javascript' }));
    const worker = new Worker(url, { type: 'module' });
    const written = await new Promise<File>((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = ({ message }) => reject(new Error(message));
      worker.postMessage(whale);
    });
    expect(await sha256(written)).toBe(WHALE_SHA256.Q4_K_M);
    worker.terminate();
    await remove('worker.gguf');
  });

  test('shards written to a folder open as one model', async () => {
    const storage = await navigator.storage.getDirectory();
    const folder = await storage.getDirectoryHandle('shards', { create: true });
    const recipe: Recipe = { preset: 'Q4_K_M', splitMaxSize: '1MB' };
    const model = await openModel(whale);
    const set = ({ suffix }: TargetShard) => new OpfsTarget(folder, `whale${suffix}`);
    const { shards } = await quantizeModel(model, set, recipe, { workers: 2 });
    await model.close();
    expect(shards?.map(({ suffix }) => suffix)).toEqual([1, 2, 3].map((n) => `-0000${n}-of-00003.gguf`));
    const joined = await openModel(folder);
    const whole = new MemoryTarget();
    await quantizeModel(joined, whole, 'COPY', { workers: 2 });
    await joined.close();
    expect(await sha256(whole.bytes)).toBe(WHALE_SHA256.Q4_K_M);
    await storage.removeEntry('shards', { recursive: true });
  });

  test('new shards replace all existing shards', async () => {
    const storage = await navigator.storage.getDirectory();
    const folder = await storage.getDirectoryHandle('again', { create: true });
    const model = await openModel(whale);
    const set = ({ suffix }: TargetShard) => new OpfsTarget(folder, `whale${suffix}`);
    for (const overrideKv of ['a.run=int:1', 'a.run=int:2']) {
      await quantizeModel(
        model,
        set,
        { preset: 'Q4_K_M', splitMaxSize: '1MB', overrideKv: [overrideKv] },
        { workers: 2 },
      );
    }
    await model.close();
    const joined = await openModel(folder);
    expect(joined.metadata.get('a.run')).toMatchObject({ value: 2 });
    await joined.close();
    const names: string[] = [];
    // Supported by all browsers with folders, but not yet in TypeScript's library.
    for await (const name of (folder as unknown as { keys(): AsyncIterable<string> }).keys()) names.push(name);
    expect(names.sort()).toEqual([1, 2, 3].map((n) => `whale-0000${n}-of-00003.gguf`));
    await storage.removeEntry('again', { recursive: true });
  });

  test('a file that is being read is never overwritten, whichever handle names it', async () => {
    const storage = await navigator.storage.getDirectory();
    const folder = await storage.getDirectoryHandle('same', { create: true });
    const handle = await folder.getFileHandle('whale.gguf', { create: true });
    const stream = await handle.createWritable();
    await stream.write(whale);
    await stream.close();
    for (const input of [handle, folder, await handle.getFile()]) {
      const model = await openModel(input);
      for (const target of [await folder.getFileHandle('whale.gguf'), new OpfsTarget(folder, 'whale.gguf')]) {
        await expect(quantizeModel(model, target, 'Q8_0')).rejects.toMatchObject({ code: 'SAME_FILE' });
      }
      await model.close();
    }
    expect(await sha256(await handle.getFile())).toBe(await sha256(whale));
    await storage.removeEntry('same', { recursive: true });
  });

  test('a file in storage outlasts the page, and an aborted conversion resumes', async () => {
    const storage = await navigator.storage.getDirectory();
    const stop = new AbortController();
    const first = new OpfsTarget(storage, 'resumed.gguf');
    const onProgress = ({ bytesDone }: Progress) => bytesDone > 1_000_000 && stop.abort();
    await expect(convert(first, 'Q4_K_M', { resume: true, signal: stop.signal, onProgress })).rejects.toThrow();
    const second = new OpfsTarget(storage, 'resumed.gguf');
    expect(await second.hasUnfinished()).toBe(true);
    const { bytesResumed } = await convert(second, 'Q4_K_M', { resume: true });
    expect(bytesResumed).toBeGreaterThan(0);
    const handle = await storage.getFileHandle('resumed.gguf');
    expect(await sha256(await handle.getFile())).toBe(WHALE_SHA256.Q4_K_M);
    expect(await second.hasUnfinished()).toBe(false);
    await remove('resumed.gguf');
  });
};

if (opfs) {
  describe("in the page's own storage", inStorage);
} else {
  test('an engine without origin-private storage rejects a folder handle by name', () => {
    const folder = navigator.storage as unknown as FileSystemDirectoryHandle; // undefined here
    expect(() => new OpfsTarget(folder, 'out.gguf')).toThrow(expect.objectContaining({ code: 'ARGUMENT' }));
  });
}
