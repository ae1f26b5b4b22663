/** Models at a URL, in several files, in a folder; and a page that cannot reach other origins. */

import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MemoryTarget, openModel, quantizeModel } from 'quantpress';
import { expect, onTestFinished, test } from 'vitest';
import { answer } from '../js/support/range-server.js';
import { leave } from './support/browser.js';
import { download, dropAt, inNode, SAMPLE, says, sha256, usePlayground } from './support/playground.js';

const app = usePlayground();

/** A server on another origin that lets pages read a file in parts. Returns its URL and the requests. */
async function elsewhere(bytes: Uint8Array, name = 'whale-f16.gguf'): Promise<{ address: string; asked: string[] }> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    answer(bytes, request, response, {
      'access-control-allow-origin': '*',
      'access-control-expose-headers': 'content-range, etag',
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { address: `http://localhost:${(server.address() as AddressInfo).port}/${name}`, asked };
}

test('a model at a URL is shrunk without being downloaded first', async () => {
  const { page, url } = app;
  const { address, asked } = await elsewhere(await readFile(SAMPLE));
  await page.locator('.preset [value="Q6_K"]').check();
  await page.getByRole('button', { name: 'A URL' }).click();
  await page.getByLabel('URL of a model file').fill(address);
  expect(asked).toEqual([]);
  await leave(app.problems, async () => {
    await page.getByRole('button', { name: 'Open', exact: true }).click();
    // The page that can reach the network, with the selected recipe.
    await page.waitForURL(`${url}/url.html#**`);
    await page.locator('.promise', { hasText: 'Reads from the URL you entered' }).waitFor();
  });
  await page.locator('.drop strong', { hasText: /^whale-f16\.gguf$/ }).waitFor();
  await page.getByRole('button', { name: 'Shrink to Q6_K' }).click();
  const { name, bytes } = await download(page);
  expect(name).toBe('whale-Q6_K.gguf');
  expect(sha256(bytes)).toBe(await inNode('Q6_K'));
  expect(new Set(asked)).toEqual(new Set(['GET /whale-f16.gguf']));
  // Back on the page without network; on reload, neither page requests the URL again.
  await leave(app.problems, async () => {
    await page.getByRole('link', { name: 'go offline' }).click();
    await page.locator('.promise', { hasText: 'Nothing leaves this computer' }).waitFor();
  });
  const before = asked.length;
  await leave(app.problems, () => page.goto(`${url}/url.html`));
  await page.locator('.drop strong', { hasText: 'tiny-whale-f16.gguf' }).waitFor();
  expect(asked).toHaveLength(before);
});

test('a URL with a malformed percent sequence opens and keeps its literal name', async () => {
  const { page, url } = app;
  const { address, asked } = await elsewhere(await readFile(SAMPLE), '%E0%A4%A');
  await page.getByRole('button', { name: 'A URL' }).click();
  await page.getByLabel('URL of a model file').fill(address);
  await leave(app.problems, async () => {
    await page.getByRole('button', { name: 'Open', exact: true }).click();
    await page.waitForURL(`${url}/url.html#**`);
  });
  await says(page.locator('.drop strong'), '%E0%A4%A');
  await page.getByRole('button', { name: /^Shrink to/ }).click();
  const { name, bytes } = await download(page);
  expect(name).toMatch(/^[%_]E0[%_]A4[%_]A-Q4_K_M\.gguf$/);
  expect(sha256(bytes)).toBe(await inNode('Q4_K_M'));
  expect(new Set(asked)).toEqual(new Set(['GET /%E0%A4%A']));
  // A body that was read to its length is cancelled, because it might have no end.
  app.problems.splice(0, Infinity, ...app.problems.filter((problem) => !problem.endsWith('net::ERR_ABORTED')));
});

test.each([
  ['a recipe', '#/?preset=Q6_K&type=%E0%A4%A=Q8_0&%zz', 'Q6_K with 1 change'],
  ['a view', '#/%E0%A4%A?preset=Q6_K%', 'Q4_K_M'],
  ['a format', '#/blocks/%E0?format=%E0%A4%A', 'Q4_K_M'],
])('%s with a malformed percent sequence in a link leaves a page that works', async (_, link, recipe) => {
  const { page, url } = app;
  await page.goto(`${url}/${link}`);
  await leave(app.problems, () => page.reload());
  await page.getByRole('heading', { name: 'Quantpress' }).waitFor();
  await page.getByRole('link', { name: 'Shrink', exact: true }).click();
  await page.getByRole('button', { name: `Shrink to ${recipe}`, exact: true }).waitFor();
});

test('text that is not a URL is rejected as such', async () => {
  const { page } = app;
  await page.getByRole('button', { name: 'A URL' }).click();
  await page.getByLabel('URL of a model file').fill('model');
  await page.keyboard.press('Enter');
  await says(page.getByRole('alert'), /not the URL of a file/);
});

test('a file that cannot be opened is named with the reason', async () => {
  const { page } = app;
  const buffer = Buffer.from('This is text and not a model.');
  await page.getByLabel('Model file', { exact: true }).setInputFiles({ name: 'notes.txt', mimeType: '', buffer });
  await says(page.getByRole('alert'), /^notes\.txt could not be opened\. .*GGUF/);
});

test('the browser stops the page and its workers from reaching other origins', async () => {
  const { page, problems } = app;
  const { address, asked } = await elsewhere(new Uint8Array(10));
  const outcome = await page.evaluate(async (address) => {
    const here = await fetch(address).then(
      () => 'reached',
      () => 'refused',
    );
    // How the page starts its workers.
    const script = `fetch(${JSON.stringify(address)}).then(() => postMessage('reached'), () => postMessage('refused'))`;
    const worker = new Worker(URL.createObjectURL(new Blob([script])));
    const there = await new Promise((resolve) => {
      worker.onmessage = ({ data }) => resolve(data);
    });
    return [here, there];
  }, address);
  expect(outcome).toEqual(['refused', 'refused']);
  expect(asked).toEqual([]);
  // Workers are started that way, not by their script's URL.
  const workers = page.workers().map((worker) => worker.url());
  expect(workers.every((url) => url.startsWith('blob:'))).toBe(true);
  expect(problems.length).toBeGreaterThan(0);
  expect(problems.splice(0).every((problem) => /Content Security Policy|ERR_BLOCKED_BY_CSP|csp/i.test(problem))).toBe(
    true,
  );
});

/** The sample in shards, as quantizeModel writes them, in a separate folder. */
async function shards(): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'quantpress-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await mkdir(join(folder, 'model'));
  const model = await openModel(SAMPLE);
  await quantizeModel(
    model,
    join(folder, 'model', 'whale'),
    { preset: 'COPY', splitMaxSize: 3_000_000 },
    { workers: 0 },
  );
  await model.close();
  const names = (await readdir(join(folder, 'model'))).sort();
  expect(names.length).toBeGreaterThan(2);
  return names.map((name) => join(folder, 'model', name));
}

test('a model in several files opens from the files or from their folder', async () => {
  const { page } = app;
  const files = await shards();
  await page.getByLabel('Model file', { exact: true }).setInputFiles([...files].reverse());
  const name = page.locator('.drop strong');
  await says(name, /^whale-00001-of-/);
  await page.getByRole('button', { name: 'Shrink to Q4_K_M' }).click();
  const { name: saved, bytes } = await download(page);
  expect(saved).toBe('whale-Q4_K_M.gguf');
  expect(sha256(bytes)).toBe(await inShards(files));
  await leave(app.problems, () => page.reload());
  await page.getByLabel('Folder of a model').setInputFiles(join(files[0] ?? '', '..'));
  await says(name, /^whale-00001-of-/);
  // A missing shard is reported.
  await page.getByLabel('Model file', { exact: true }).setInputFiles(files.slice(1));
  await says(page.getByRole('alert'), /00001|first|missing/i);
});

async function inShards(files: readonly string[]): Promise<string> {
  const model = await openModel([...files]);
  const target = new MemoryTarget();
  await quantizeModel(model, target, 'Q4_K_M', { workers: 0 });
  await model.close();
  return sha256(target.bytes ?? new Uint8Array(0));
}

test('dropped files open', async () => {
  const { page } = app;
  const folder = await mkdtemp(join(tmpdir(), 'quantpress-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const path = join(folder, 'dropped-f16.gguf');
  await copyFile(SAMPLE, path);
  const card = page.locator('.drop');
  await dropAt(page, card, [path], card.locator('strong', { hasText: 'dropped-f16.gguf' }));
});

test('a safetensors model becomes GGUF', async () => {
  const { page } = app;
  const header = { 'double_blocks.0.img_attn.proj.weight': { dtype: 'F32', shape: [8, 256], data_offsets: [0, 8192] } };
  const json = new TextEncoder().encode(JSON.stringify(header));
  const bytes = new Uint8Array(8 + json.length + 8192);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  new Float32Array(2048).forEach((_, i) => {
    new DataView(bytes.buffer).setFloat32(8 + json.length + 4 * i, Math.sin(i), true);
  });
  const folder = await mkdtemp(join(tmpdir(), 'quantpress-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const path = join(folder, 'plain.safetensors');
  await writeFile(path, bytes);
  await page.getByLabel('Model file', { exact: true }).setInputFiles(path);
  await page.locator('.drop strong', { hasText: 'plain.safetensors' }).waitFor();
  await page.locator('.preset [value="Q8_0"]').check();
  await page.getByRole('button', { name: 'Shrink to Q8_0' }).click();
  const { name, bytes: made } = await download(page);
  expect(name).toBe('plain-Q8_0.gguf');
  const model = await openModel(new Uint8Array(made));
  expect(model.tensor('double_blocks.0.img_attn.proj.weight').type).toBe('Q8_0');
  await model.close();
});
