/** The weight error of a file is the same number everywhere. */

import { readFileSync } from 'node:fs';
import {
  analyzeModel,
  bestMix,
  diffModels,
  init,
  openModel,
  planModel,
  quantizeModel,
  type FormatName,
  type Recipe,
  type Report,
  weightError,
} from 'quantpress';
import { beforeAll, describe, expect, test } from 'vitest';
import { quantpress } from './support/cli.js';
import { folder } from './support/files.js';
import { WHALE, WHALE_IMATRIX } from './support/whale.js';

beforeAll(() => init());

test('weightError() is sqrt(sum n r^2 / sum n), with 0 for copied tensors and the mean of the others for unmeasured ones', () => {
  const [changed, copied] = [
    { weights: 300, relativeRmse: 0.1 },
    { weights: 100, relativeRmse: 0 },
  ];
  expect(weightError([changed, copied])).toBeCloseTo(Math.sqrt((300 * 0.01) / 400), 15);
  expect(weightError([changed, copied, { weights: 600, relativeRmse: undefined }])).toBeCloseTo(
    Math.sqrt((900 * 0.01) / 1000),
    15,
  );
  expect(weightError([copied])).toBe(0);
  expect(weightError([])).toBe(0);
  expect(weightError([copied, { weights: 1, relativeRmse: undefined }])).toBeUndefined();
});

/** Formats that encode quickly: enough for the presets and mixes here. */
const FORMATS: FormatName[] = ['Q3_K', 'Q4_K', 'Q5_K', 'Q6_K', 'Q8_0'];

/** What an analysis of every weight predicts for a recipe. */
async function predicted(recipe: Recipe): Promise<number | undefined> {
  const model = await openModel(WHALE);
  const analysis = await analyzeModel(model, { sample: 'all', formats: FORMATS });
  const plan = await planModel(model, recipe);
  const errors = plan.tensors.map(({ sourceName, from, to, rows, rowLength }) => {
    const found = analysis.tensors.find(({ name }) => name === sourceName)?.formats.find(({ format }) => format === to);
    const error = found?.refusal === undefined ? found?.relativeRmse : undefined;
    return { weights: rows * rowLength, relativeRmse: from === to || to === 'F32' ? 0 : error };
  });
  plan.free();
  await model.close();
  return weightError(errors);
}

describe('of one file', () => {
  test('the analysis, the report, the comparison and the command line agree', async () => {
    const { file: out } = folder();
    const written = out('whale-Q4_K_M.gguf');
    const [model, expected] = [await openModel(WHALE), await predicted({ preset: 'Q4_K_M' })];
    const { weightError: reported = NaN } = await quantizeModel(model, written, 'Q4_K_M', { report: true });
    const result = await openModel(written);
    const { weightError: compared = NaN } = await diffModels(model, result);
    await model.close();
    await result.close();
    expect(reported / (expected ?? NaN)).toBeCloseTo(1, 12);
    expect(compared / reported).toBeCloseTo(1, 12);

    const text = `weight error (RMS, relative): ${(100 * reported).toPrecision(3)}%`;
    const diffed = await quantpress(['diff', WHALE, written]);
    expect(diffed.stdout).toContain(`${text}, of B against A\n`);
    const again = await quantpress(['quantize', '--report', out('report.json'), WHALE, out('again.gguf'), 'Q4_K_M']);
    expect(again.stdout).toContain(`${text}\n`);
    const report = JSON.parse(readFileSync(out('report.json'), 'utf8')) as Report;
    expect(report.weightError).toBe(reported);
  });

  test('a pure format has the error that analyze measures, with and without an importance matrix', async () => {
    const { file: out } = folder();
    for (const imatrix of [[], ['--imatrix', WHALE_IMATRIX]]) {
      const args = ['analyze', '--formats', 'Q6_K', '--sample', 'all', ...imatrix, WHALE];
      const { stdout } = await quantpress(args);
      const [, shown] = /\n {2}Q6_K +6\.5625 +\S+ MB +(\S+)/.exec(stdout) ?? [];
      const model = await openModel(WHALE);
      const options = imatrix[1] === undefined ? {} : { imatrix: imatrix[1] };
      const { weightError: error = NaN } = await quantizeModel(
        model,
        out('pure.gguf'),
        { preset: 'Q6_K', pure: true },
        { report: true, ...options },
      );
      await model.close();
      expect(shown).toBe((100 * error).toPrecision(3));
      expect(stdout).toContain(imatrix.length > 0 ? 'weighted %' : 'count as 0.\n');
    }
  });

  test('the best mix states the weight error of the file it makes, not its objective', async () => {
    const { file: out } = folder();
    for (const imatrix of [undefined, WHALE_IMATRIX]) {
      const options = imatrix === undefined ? {} : { imatrix };
      const model = await openModel(WHALE);
      const analysis = await analyzeModel(model, { sample: 'all', formats: FORMATS, ...options });
      const mix = await bestMix(model, analysis, { targetSize: 2_200_000 }, options);
      const made = await quantizeModel(model, out('mix.gguf'), mix.recipe, { report: true, ...options });
      expect((mix.weightError ?? NaN) / (made.weightError ?? NaN)).toBeCloseTo(1, 10);
      if (!mix.nearestPreset) throw new Error('no preset fits');
      const { name, weightError: other = NaN } = mix.nearestPreset;
      const preset = await quantizeModel(model, out('preset.gguf'), name, { report: true, ...options });
      expect(other / (preset.weightError ?? NaN)).toBeCloseTo(1, 10);
      await model.close();
    }
  });
});
