import { readFileSync } from 'node:fs';
import {
  init,
  MemoryTarget,
  openImportance,
  openModel,
  type PresetName,
  quantizeModel,
  type QuantizeModelOptions,
  type Report,
} from 'quantpress';
import { beforeAll, describe, expect, test } from 'vitest';
import { quantpress } from './support/cli.js';
import { expectFigures, figures } from './support/figures.js';
import { folder } from './support/files.js';
import { WHALE, WHALE_IMATRIX } from './support/whale.js';

beforeAll(() => init());

const UNCHANGED = { rmse: 0, relativeRmse: 0, sqnrDb: Infinity, cosineSimilarity: 1, maxError: 0 };

async function convert(
  target: string | MemoryTarget,
  preset: PresetName,
  options: QuantizeModelOptions,
): Promise<Report> {
  const model = await openModel(WHALE);
  try {
    return await quantizeModel(model, target, preset, { report: true, ...options });
  } finally {
    await model.close();
  }
}

function bytesOf(target: MemoryTarget | undefined): Uint8Array {
  if (!target?.bytes) throw new Error('nothing was written');
  return target.bytes;
}

describe('the report', () => {
  test.each<[PresetName, string | undefined]>([
    ['Q4_K_M', undefined],
    ['IQ3_XXS', WHALE_IMATRIX],
  ])('has the errors of the file that was written (%s, imatrix: %s)', async (preset, imatrix) => {
    const target = new MemoryTarget();
    const report = await convert(target, preset, { imatrix });
    const [before, after] = await Promise.all([openModel(WHALE), openModel(bytesOf(target))]);
    const matrix = imatrix === undefined ? undefined : await openImportance(imatrix);
    let weighted = 0;
    for (const { name, from, to, error } of report.tensors) {
      if (from === to) {
        expect(error).toEqual(UNCHANGED);
        continue;
      }
      const [x, y] = await Promise.all([before.readTensor(name), after.readTensor(name)]);
      const [columns = 0] = before.tensor(name).shape;
      const importance = matrix?.get(name);
      expectFigures(error ?? {}, figures(x, y, columns, importance));
      expect(error?.weightedError === undefined).toBe(importance === undefined);
      weighted += importance ? 1 : 0;
    }
    expect(weighted > 0).toBe(imatrix !== undefined);
    await Promise.all([before.close(), after.close()]);
  });

  test('does not depend on the number of workers, and changes no byte', async () => {
    const targets = [0, 1, 3].map(() => new MemoryTarget());
    const reports = await Promise.all(
      targets.map((target, index) => convert(target, 'Q3_K_M', { workers: [0, 1, 3][index] })),
    );
    const plain = new MemoryTarget();
    const { tensors } = await convert(plain, 'Q3_K_M', { report: false });
    expect(tensors.every(({ error }) => error === undefined)).toBe(true);
    for (const [index, report] of reports.entries()) {
      expect(report.tensors).toEqual(reports[0]?.tensors);
      expect(Buffer.compare(bytesOf(targets[index]), bytesOf(plain))).toBe(0);
    }
  });

  test.each([true, false])('of a resumed run equals that of an uninterrupted one (reporting: %s)', async (first) => {
    const { file } = folder();
    const stop = new AbortController();
    let tiles = 0;
    const onProgress = () => {
      tiles += 1;
      if (tiles === 30) stop.abort();
    };
    const begun = convert(file('out'), 'Q5_K_M', { report: first, resume: true, signal: stop.signal, onProgress });
    await expect(begun).rejects.toThrow(/abort/i);
    const resumed = await convert(file('out'), 'Q5_K_M', { resume: true });
    const whole = await convert(file('whole'), 'Q5_K_M', {});
    expect(resumed.bytesResumed > 0).toBe(true);
    expect(resumed.tensors).toEqual(whole.tensors);
    expect(readFileSync(file('out')).equals(readFileSync(file('whole')))).toBe(true);
  });

  test('is printed as a table and written as JSON', async () => {
    const { file } = folder();
    const args = [
      'quantize',
      '--report',
      file('report.json'),
      '--imatrix',
      WHALE_IMATRIX,
      WHALE,
      file('out'),
      'Q4_K_M',
    ];
    const { code, stdout } = await quantpress(args);
    expect(code).toBe(0);
    const report = JSON.parse(readFileSync(file('report.json'), 'utf8')) as Report;
    const { tensors } = await convert(new MemoryTarget(), 'Q4_K_M', { imatrix: WHALE_IMATRIX });
    expect(report.tensors.map(({ error }) => error)).toEqual(
      JSON.parse(JSON.stringify(tensors)).map((t: Report['tensors'][0]) => t.error),
    );
    const [heading = '', ...lines] = stdout.split('\n');
    expect(heading.trim().split(/ {2,}/)).toEqual([
      'tensor',
      'from',
      'to',
      'bytes',
      'weight error %',
      'SQNR dB',
      'cosine',
      'max error',
      'weighted %',
      'why',
    ]);
    for (const [index, { name, to, why }] of tensors.entries()) {
      expect(lines[index]).toMatch(new RegExp(`^  ${name} .* ${to} .* ${why}`.replace(/[()]/g, '\\$&')));
    }
  });
});
