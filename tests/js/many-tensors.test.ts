/** As many tensors as the format allows: time that grows with their number, and memory that a small machine has. */

import { spawnSync } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { quantpress } from './support/cli.js';
import { folder } from './support/files.js';
import { ggufHeader, LLAMA, TYPE } from './support/gguf.js';
import { PEAK } from './support/peak.js';

const MB = 1_000_000;
/** Two rows of one block: one row is not quantized. */
const SHAPE = [32, 2];
const BYTES = 4 * 64;

/** A file of so many tensors of F32, all zeros. */
function manyTensors(path: string, count: number): void {
  const tensor = (index: number) => ({
    name: `blk.${index}.ffn_up.weight`,
    type: TYPE.F32,
    shape: SHAPE,
    size: BYTES,
  });
  const header = ggufHeader(
    LLAMA,
    Array.from({ length: count }, (_, index) => tensor(index)),
  );
  const file = openSync(path, 'w');
  writeSync(file, header);
  writeSync(file, new Uint8Array(BYTES * count));
  closeSync(file);
}

/** Runs a script with the open `model` in a process of its own; gives what it prints and its peak memory. */
function run(path: string, work: string): { printed: string; peak: number } {
  const entry = new URL('../../dist/node.js', import.meta.url).href;
  const script = `
    import * as quantpress from ${JSON.stringify(entry)};
    await quantpress.init();
    const model = await quantpress.openModel(${JSON.stringify(path)});
    ${work}
    console.log(${PEAK});`;
  // A collector that does not wait: what is measured is what is needed, also on a busy machine.
  const flags = ['--max-semi-space-size=4', '--max-old-space-size=256', '--input-type=module'];
  const { stdout, stderr } = spawnSync(process.execPath, [...flags, '--eval', script], { encoding: 'utf8' });
  expect(stderr).toBe('');
  const lines = stdout.trimEnd().split('\n');
  return { printed: lines.slice(0, -1).join('\n'), peak: Number(lines.at(-1)) };
}

describe('300 000 tensors', () => {
  const count = 300_000;

  test('are opened and found by name in less than 350 MB, planned in less than 500 MB', () => {
    const path = folder().file('many.gguf');
    manyTensors(path, count);
    const work = `
      for (const { name } of model.tensors) model.tensor(name);
      const opened = ${PEAK};
      const plan = await quantpress.planModel(model, { preset: 'Q8_0', pure: true });
      let bytes = 0;
      for (const { name } of plan.tensors) bytes += model.tensor(name).bytes;
      console.log(opened < 350e6, plan.tensors.length, bytes, plan.tensors.at(-1).name, plan.tensors.at(-1).targetBytes);`;
    const { printed, peak } = run(path, work);
    expect(printed).toBe(`true ${count} ${count * BYTES} blk.${count - 1}.ffn_up.weight 68`);
    expect(peak).toBeLessThan(500 * MB);
  });

  test('inspect lists them, as text and as JSON', async () => {
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
    console.log(tensors.length, problems.length, manifest.tensors.length, differences.filter(({ status }) => status === 'type').length);`;
  const { printed } = run(path, `process.chdir(${JSON.stringify(file('.'))});${work}`);
  expect(printed).toBe('10000 0 10000 10000');
});
