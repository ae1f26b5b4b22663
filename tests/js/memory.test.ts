/** Memory is bounded by the tiles in flight: a file of 1 GB takes no more than one of half its size. */

import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { folder } from './support/files.js';
import { peakScript, sparseModel } from './support/sparse.js';

const MB = 1_000_000;
/** Quantizes in a separate process and returns its peak memory in bytes. */
function peak(input: string, output: string, workers: number): number {
  const script = peakScript(input, output, 'Q8_0', workers);
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
    encoding: 'utf8',
  });
  expect(stderr).toBe('');
  expect(status).toBe(0);
  return Number(stdout);
}

describe.each([2, 8])('with %i workers', (workers) => {
  test('converting 500 MB takes less than 400 MB of memory, and 1 GB takes no more', () => {
    const { file } = folder();
    sparseModel(file('half.gguf'), 500 * MB);
    sparseModel(file('whole.gguf'), 1000 * MB);
    const half = peak(file('half.gguf'), file('half-Q8_0.gguf'), workers);
    const whole = peak(file('whole.gguf'), file('whole-Q8_0.gguf'), workers);
    expect(statSync(file('half-Q8_0.gguf')).size).toBeGreaterThan(265 * MB);
    expect(statSync(file('whole-Q8_0.gguf')).size).toBeGreaterThan(530 * MB);
    expect(half).toBeLessThan(400 * MB);
    expect(whole).toBeLessThan(400 * MB);
    // Garbage collection may differ by a few tiles, not by hundreds of megabytes.
    expect(whole - half).toBeLessThan(60 * MB);
    const head = new Uint8Array(4);
    const result = openSync(file('whole-Q8_0.gguf'), 'r');
    readSync(result, head);
    closeSync(result);
    expect(new TextDecoder().decode(head)).toBe('GGUF');
  });
});
