/** Memory is bounded by the tiles under way: a file of a gigabyte takes no more than one of half of it. */

import { spawnSync } from 'node:child_process';
import { closeSync, ftruncateSync, openSync, readSync, statSync, writeSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { folder } from './support/files.js';
import { ggufHeader, LLAMA, padded, TYPE } from './support/gguf.js';

const MB = 1_000_000;
const COLUMNS = 4096;

/**
 * A model of F16 of about `size` bytes. Its first row of every MB is written; the rest is a hole in the file, which
 * is read as zeros and takes no room on the disk.
 */
function model(path: string, size: number): void {
  const rows = Math.round(size / 8 / (2 * COLUMNS));
  const tensors = Array.from({ length: 8 }, (_, index) => ({
    name: `blk.${index >> 2}.${['attn_q', 'attn_k', 'ffn_up', 'ffn_gate'][index & 3]}.weight`,
    type: TYPE.F16,
    shape: [COLUMNS, rows],
    size: padded(2 * COLUMNS * rows),
  }));
  const header = ggufHeader(LLAMA, tensors);
  // Halfs from 0x3000 to 0x37ff are numbers from 0.125 to 0.5.
  const row = Uint16Array.from({ length: COLUMNS }, (_, index) => 0x3000 + ((index * 2654435761) >>> 21));
  const file = openSync(path, 'w');
  ftruncateSync(file, header.length + tensors.reduce((sum, tensor) => sum + tensor.size, 0));
  writeSync(file, header, 0, header.length, 0);
  for (let at = header.length; at + 2 * COLUMNS < size; at += 128 * 2 * COLUMNS) {
    writeSync(file, new Uint8Array(row.buffer), 0, 2 * COLUMNS, at);
  }
  closeSync(file);
}

/** Quantizes in a process of its own; gives its peak memory in bytes: all threads, all of Node. */
function peak(input: string, output: string, workers: number): number {
  const script = `
    import { init, openModel, quantizeModel } from ${JSON.stringify(new URL('../../dist/node.js', import.meta.url).href)};
    await init();
    const model = await openModel(${JSON.stringify(input)});
    await quantizeModel(model, ${JSON.stringify(output)}, 'Q8_0', { workers: ${workers} });
    await model.close();
    console.log(process.resourceUsage().maxRSS * 1024);
  `;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
    encoding: 'utf8',
  });
  expect(stderr).toBe('');
  expect(status).toBe(0);
  return Number(stdout);
}

describe.each([2, 8])('with %i workers', (workers) => {
  test('500 MB take less than 400 MB of memory, and 1 GB no more', () => {
    const { file } = folder();
    model(file('half.gguf'), 500 * MB);
    model(file('whole.gguf'), 1000 * MB);
    const half = peak(file('half.gguf'), file('half-Q8_0.gguf'), workers);
    const whole = peak(file('whole.gguf'), file('whole-Q8_0.gguf'), workers);
    expect(statSync(file('half-Q8_0.gguf')).size).toBeGreaterThan(265 * MB);
    expect(statSync(file('whole-Q8_0.gguf')).size).toBeGreaterThan(530 * MB);
    expect(half).toBeLessThan(400 * MB);
    expect(whole).toBeLessThan(400 * MB);
    // What differs is when the collector runs: a few tiles, not hundreds of megabytes.
    expect(whole - half).toBeLessThan(60 * MB);
    const head = new Uint8Array(4);
    const result = openSync(file('whole-Q8_0.gguf'), 'r');
    readSync(result, head);
    closeSync(result);
    expect(new TextDecoder().decode(head)).toBe('GGUF');
  });
});
