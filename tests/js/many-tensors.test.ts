/** The maximum number of tensors: linear time, and memory that fits a small machine. */

import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { describe, expect, test } from 'vitest';
import { CLI, quantpress } from './support/cli.js';
import { folder } from './support/files.js';
import { ggufHeader, LLAMA, TYPE } from './support/gguf.js';
import { PEAK } from './support/peak.js';

const MB = 1_000_000;
/** Two rows of one block each, because a single row is not quantized. */
const SHAPE = [32, 2];
const BYTES = 4 * 64;

const nameOf = (index: number) => `blk.${index}.ffn_up.weight`;

/** A file with this many F32 tensors, whose weights are not exact in any smaller format. */
function manyTensors(path: string, count: number): void {
  const tensor = (index: number) => ({ name: nameOf(index), type: TYPE.F32, shape: SHAPE, size: BYTES });
  const header = ggufHeader(
    LLAMA,
    Array.from({ length: count }, (_, index) => tensor(index)),
  );
  write(path, header, count);
}

/** The same as safetensors. */
function manySafetensors(path: string, count: number): void {
  const records = Array.from({ length: count }, (_, index) => {
    const offsets = [index * BYTES, (index + 1) * BYTES];
    return `${JSON.stringify(nameOf(index))}:{"dtype":"F32","shape":[2,32],"data_offsets":[${offsets}]}`;
  });
  const header = Buffer.from(`{${records.join(',')}}`);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  write(path, Buffer.concat([length, header]), count);
}

function write(path: string, header: Uint8Array, count: number): void {
  const file = openSync(path, 'w');
  writeSync(file, header);
  const weights = new Float32Array((BYTES / 4) * count).map((_, index) => ((index * 0.618) % 1) - 0.5);
  writeSync(file, new Uint8Array(weights.buffer));
  closeSync(file);
}

/** Runs a script with the open `model` in a separate process; returns its output and its peak memory. */
function run(path: string, work: string): { printed: string; peak: number } {
  const entry = new URL('../../dist/node.js', import.meta.url).href;
  const script = `
    import * as quantpress from ${JSON.stringify(entry)};
    await quantpress.init();
    const model = await quantpress.openModel(${JSON.stringify(path)});
    ${work}
    console.log(${PEAK});`;
  // Frequent garbage collection, so that the needed memory is measured, also on a busy machine.
  const flags = ['--max-semi-space-size=4', '--max-old-space-size=256', '--input-type=module'];
  const { stdout, stderr } = spawnSync(process.execPath, [...flags, '--eval', script], { encoding: 'utf8' });
  expect(stderr).toBe('');
  const lines = stdout.trimEnd().split('\n');
  return { printed: lines.slice(0, -1).join('\n'), peak: Number(lines.at(-1)) };
}

/** Runs the command line with Node's own settings; returns its peak memory. */
function peakOf(args: string[], code: number): number {
  const script = `process.on('exit', () => console.error(${PEAK}));
    process.argv.splice(1, 0, ${JSON.stringify(CLI)});
    await import(${JSON.stringify(pathToFileURL(CLI).href)});`;
  const flags = ['--input-type=module', '--eval', script, '--'];
  const { stderr, status } = spawnSync(process.execPath, [...flags, ...args], { encoding: 'utf8' });
  expect([status, stderr]).toEqual([code, expect.stringMatching(/^\d+\n$/)]);
  return Number(stderr);
}

describe('300 000 tensors', () => {
  const count = 300_000;
  const LIMIT = 400 * MB;

  test.each([
    {
      container: 'GGUF',
      write: manyTensors,
      recipe: { preset: 'Q8_0', pure: true },
      extra: { hashes: true, report: true },
    },
    {
      container: 'safetensors',
      write: manySafetensors,
      recipe: { preset: 'Q8_0', pure: true, plain: true },
      extra: {},
    },
  ])(
    'of $container are opened, planned, quantized, verified and compared in bounded memory',
    ({ write, recipe, extra }) => {
      const { file } = folder();
      const [path, made] = [file('many'), JSON.stringify(file('made.gguf'))];
      write(path, count);
      const options = JSON.stringify(recipe);
      const opened = run(
        path,
        `for (const { name } of model.tensors) model.tensor(name);
      console.log(model.tensors.length);`,
      );
      expect(opened.printed).toBe(`${count}`);
      expect(opened.peak).toBeLessThan(LIMIT);
      const planned = run(
        path,
        `const plan = await quantpress.planModel(model, ${options});
      let bytes = 0;
      for (const { sourceBytes } of plan.tensors) bytes += sourceBytes;
      const { name, targetBytes } = plan.tensors.at(-1);
      console.log(plan.tensors.length, bytes, name, targetBytes);`,
      );
      expect(planned.printed).toBe(`${count} ${count * BYTES} ${nameOf(count - 1)} 68`);
      expect(planned.peak).toBeLessThan(LIMIT);
      const settings = JSON.stringify({ workers: 0, ...extra });
      const quantized = run(
        path,
        `const { tensors } = await quantpress.quantizeModel(model, ${made}, ${options}, ${settings});
      const { bytes, error, sha256 } = tensors.at(-1);
      console.log(tensors.length, bytes, error?.rmse > 0, sha256?.length);`,
      );
      const known = 'report' in extra ? 'true 64' : 'false undefined';
      expect(quantized.printed).toBe(`${count} 68 ${known}`);
      expect(quantized.peak).toBeLessThan(LIMIT);
      const verified = run(
        path,
        `const { problems, manifest } = await quantpress.verifyModel(model);
      console.log(problems.length, manifest.tensors.length, manifest.tensors.at(-1).name);`,
      );
      expect(verified.printed).toBe(`0 ${count} ${nameOf(count - 1)}`);
      expect(verified.peak).toBeLessThan(LIMIT);
      const compared = run(
        path,
        `const made = await quantpress.openModel(${made});
      const { tensors } = await quantpress.diffModels(model, made, { workers: 0 });
      console.log(tensors.filter(({ error }) => error.rmse > 0).length, tensors.at(-1).name);`,
      );
      expect(compared.printed).toBe(`${count} ${nameOf(count - 1)}`);
      expect(compared.peak).toBeLessThan(LIMIT);
    },
    400_000,
  );

  test('the command line quantizes with a report and a manifest, and compares, in bounded memory', () => {
    const { file } = folder();
    const [path, other, made] = [file('many.gguf'), file('many.safetensors'), file('made.gguf')];
    manyTensors(path, count);
    manySafetensors(other, count);
    const [report, manifest] = [file('report.json'), file('manifest.json')];
    const options = ['--pure', '--quiet', '--threads', '1', '--report', report, '--manifest', manifest];
    expect(peakOf(['quantize', ...options, path, made, 'Q8_0'], 0)).toBeLessThan(LIMIT);
    const reported = JSON.parse(readFileSync(report, 'utf8')).tensors as { name: string; sha256: string }[];
    const listed = JSON.parse(readFileSync(manifest, 'utf8')).tensors as { name: string; sha256: string }[];
    expect([reported.length, reported.at(-1)?.name, listed.length]).toEqual([count, nameOf(count - 1), count]);
    expect(listed.map(({ sha256 }) => sha256)).toEqual(reported.map(({ sha256 }) => sha256));
    expect(peakOf(['diff', '--quiet', '--threads', '0', other, path], 0)).toBeLessThan(LIMIT);
  }, 400_000);

  test('are listed by inspect, as text and as JSON', async () => {
    const path = folder().file('many.gguf');
    manyTensors(path, count);
    const { stdout: text, code } = await quantpress(['inspect', path]);
    expect(code).toBe(0);
    const lines = text.split('\n').filter((line) => line.includes('.ffn_up.weight'));
    expect(lines).toHaveLength(count);
    expect(lines.at(-1)).toMatch(new RegExp(`^  blk\\.${count - 1}\\.ffn_up\\.weight +F32 +32 x 2 +256 `));
    const { stdout: json } = await quantpress(['inspect', '--json', path]);
    expect(JSON.parse(json).tensors).toHaveLength(count);
  });
});

test('10 000 tensors are quantized, verified and compared', () => {
  const { file } = folder();
  const path = file('many.gguf');
  manyTensors(path, 10_000);
  const work = `
    const { tensors } = await quantpress.quantizeModel(model, 'many.out', { preset: 'Q8_0', pure: true }, { workers: 1, hashes: true, report: true });
    const made = await quantpress.openModel('many.out');
    const { problems, manifest } = await quantpress.verifyModel(made);
    const { tensors: differences } = await quantpress.diffModels(model, made, { workers: 1 });
    console.log(tensors.length, problems.length, manifest.tensors.length, differences.filter(({ status }) => status === 'weights').length);`;
  const { printed } = run(path, `process.chdir(${JSON.stringify(file('.'))});${work}`);
  expect(printed).toBe('10000 0 10000 10000');
});
