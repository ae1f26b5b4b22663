/**
 * Models larger than memory would allow: 6 GB in Node, 3 GB in Chromium into the browser's own storage. The
 * measurements are printed; the limits hold on a machine with two cores.
 */

import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { chromium, type Page } from 'playwright-core';
import type * as quantpress from 'quantpress';
import { init, openModel, planModel, quantize, quantizeModel, type Target } from 'quantpress';
import { expect, onTestFinished, test } from 'vitest';
import { chromium as find, FLAGS } from '../../tools/lib/chromium.js';
import { importIn } from '../browser/support/browser.js';
import { serve } from '../browser/support/server.js';
import { folder } from '../js/support/files.js';
import { COLUMNS, EVERY, peakScript, ROW, sparseModel } from '../js/support/sparse.js';

const MB = 1_000_000;
const GB = 1000 * MB;

/** The non-zero row of the model, as F32. */
const row = Float32Array.from(ROW, (half) => (1 + (half & 0x3ff) / 1024) * 2 ** ((half >> 10) - 15));

function say(what: string, figures: Record<string, number>): void {
  const parts = Object.entries(figures).map(([name, value]) => `${name} ${value.toFixed(0)}`);
  process.stdout.write(`${what}: ${parts.join(', ')}\n`);
}

test('converting 6 GB in Node takes less than 400 MB of memory', async () => {
  await init();
  const { file } = folder();
  sparseModel(file('in.gguf'), 6 * GB);
  const began = performance.now();
  const script = peakScript(file('in.gguf'), file('out.gguf'), 'Q4_0', 2);
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
    encoding: 'utf8',
  });
  expect([status, stderr]).toEqual([0, '']);
  say('6 GB in Node', { 'MB of memory': Number(stdout) / MB, seconds: (performance.now() - began) / 1000 });
  expect(Number(stdout)).toBeLessThan(400 * MB);

  const [source, made] = [await openModel(file('in.gguf')), await openModel(file('out.gguf'))];
  expect(source.source.size).toBeGreaterThan(5.9 * GB);
  const plan = await planModel(source, 'Q4_0');
  expect(statSync(file('out.gguf')).size).toBe(plan.size);
  // The non-zero rows and their neighbours.
  const bytes = quantize(row, 'Q4_0');
  const zeros = quantize(new Float32Array(COLUMNS), 'Q4_0');
  let seen = 0;
  for (const { name, offset, shape } of made.tensors) {
    const rows = shape[1] ?? 0;
    const first = source.tensor(name).offset - source.headerBytes;
    for (let index = 0; index < rows; index += 997) {
      const filled = (first / (2 * COLUMNS) + index) % EVERY === 0;
      const read = await made.source.read(offset + index * bytes.length, bytes.length);
      expect(Buffer.compare(read, filled ? bytes : zeros), `${name}, row ${index}`).toBe(0);
      if (filled) seen += 1;
    }
  }
  expect(seen).toBeGreaterThan(0);
  await source.close();
  await made.close();
});

/** The memory of a process and its children; shared memory is counted once. */
function memoryOf(root: number): number {
  const parents = new Map<number, number>();
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const stat = text(`/proc/${entry}/stat`);
    parents.set(Number(entry), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
  }
  const isIn = (pid: number): boolean => pid === root || (parents.has(pid) && isIn(parents.get(pid) ?? 0));
  const kilobytes = (pid: number) => Number(/^Pss:\s+(\d+)/m.exec(text(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0);
  return [...parents.keys()].filter(isIn).reduce((sum, pid) => sum + 1024 * kilobytes(pid), 0);
}

function text(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return ''; // it has ended
  }
}

/** Chromium with a profile on disk: without one, the browser keeps its storage in memory. */
async function launch(profile: string): Promise<{ page: Page; pid: number }> {
  const context = await chromium.launchPersistentContext(profile, { executablePath: await find(), args: FLAGS });
  onTestFinished(() => context.close());
  const isBrowser = (entry: string) => {
    const command = text(`/proc/${entry}/cmdline`);
    return command.includes(`--user-data-dir=${profile}`) && !command.includes('--type=');
  };
  const pid = readdirSync('/proc').find((entry) => /^\d+$/.test(entry) && isBrowser(entry));
  return { page: context.pages()[0] ?? (await context.newPage()), pid: Number(pid) };
}

test('converting 3 GB in Chromium, into browser storage, gives the same bytes as in Node', async () => {
  await init();
  const { file } = folder();
  sparseModel(file('in.gguf'), 3 * GB);
  const nowhere: Target = { write: async () => {}, close: async () => {}, abort: async () => {} };
  const model = await openModel(file('in.gguf'));
  const { sha256, size } = await quantizeModel(model, nowhere, 'Q4_0', { hashes: true, workers: 2 });
  await model.close();

  const page_ = '<!doctype html><link rel="icon" href="data:,"><input type="file">';
  const server = await serve('dist', { '/': { type: 'text/html', body: page_ } });
  onTestFinished(() => server.close());
  const { page, pid } = await launch(file('profile'));
  await page.goto(server.url);
  // By path: the page gets a reference, as for a selected file.
  const devtools = await page.context().newCDPSession(page);
  const { root } = await devtools.send('DOM.getDocument');
  const { nodeId } = await devtools.send('DOM.querySelector', { nodeId: root.nodeId, selector: 'input' });
  await devtools.send('DOM.setFileInputFiles', { files: [file('in.gguf')], nodeId });
  const module = await importIn<typeof quantpress>(page, '/browser.js');
  const idle = memoryOf(pid);
  let peak = idle;
  const sampling = setInterval(() => {
    peak = Math.max(peak, memoryOf(pid));
  }, 250);
  const began = performance.now();
  const made = await page.evaluate(async (quantpress) => {
    await quantpress.init();
    const [picked] = document.querySelector('input')?.files ?? [];
    if (!picked) throw new Error('no file');
    const storage = await navigator.storage.getDirectory();
    const model = await quantpress.openModel(picked);
    const target = new quantpress.OpfsTarget(storage, 'out.gguf');
    const { sha256 } = await quantpress.quantizeModel(model, target, 'Q4_0', { hashes: true, workers: 2 });
    const written = await (await storage.getFileHandle('out.gguf')).getFile();
    const again = await quantpress.openModel(written);
    const { manifest, problems } = await quantpress.verifyModel(again);
    await storage.removeEntry('out.gguf');
    return { picked: picked.size, size: written.size, sha256, readBack: manifest.sha256, problems };
  }, module);
  clearInterval(sampling);
  const seconds = (performance.now() - began) / 1000;
  say('3 GB in Chromium', { 'MB of memory idle': idle / MB, 'and at most': peak / MB, seconds });
  expect(made).toEqual({ picked: statSync(file('in.gguf')).size, size, sha256, readBack: sha256, problems: [] });
  expect(peak - idle).toBeGreaterThan(0);
  expect(peak - idle).toBeLessThan(600 * MB);
});
