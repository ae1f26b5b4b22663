import { readFileSync, statSync } from 'node:fs';
import { analyzeModel, bestMix, init, openModel, type ModelAnalysis } from 'quantpress';
import { beforeAll, describe, expect, test } from 'vitest';
import { expectSentence, quantpress } from './support/cli.js';
import { folder, sha256 } from './support/files.js';
import { WHALE, WHALE_IMATRIX } from './support/whale.js';

beforeAll(() => init());

describe('analyze', () => {
  test('prints the predicted error of each format', async () => {
    const { code, stdout, stderr } = await quantpress([
      'analyze',
      '--formats',
      'q4_k,Q6_K,iq2_xs',
      '--sample',
      '4096',
      WHALE,
    ]);
    expect({ code, stderr: stderr.split('\n').at(-2) }).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/^100%/),
    });
    expect(stdout).toMatch(/^ {2}tensor +type +shape +Q4_K +Q6_K +IQ2_XS\n/);
    expect(stdout).toMatch(/blk\.0\.attn_q\.weight +F16 +256 x 256 +7\.\d\d +1\.\d\d +imatrix\n/);
    expect(stdout).toMatch(/\n {2}Q6_K +6\.5625 +3\.0\d MB +1\.\d\d +\d\.\d\d +\S+\n/);
    expect(stdout).toMatch(/\n {2}IQ2_XS +imatrix\n/);
    expect(stdout).toMatch(/on 121856 of 3670016 weights in 30 tensors; 9 others are kept and count as 0\.\n$/);
  });

  test('--json prints the result of analyzeModel', async () => {
    const args = [
      'analyze',
      '--json',
      '--quiet',
      '--imatrix',
      WHALE_IMATRIX,
      '--sample',
      '2048',
      '--formats',
      'IQ2_XXS,Q4_0',
      WHALE,
    ];
    const { code, stdout, stderr } = await quantpress(args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const model = await openModel(WHALE);
    const analysis = await analyzeModel(model, { imatrix: WHALE_IMATRIX, sample: 2048, formats: ['IQ2_XXS', 'Q4_0'] });
    expect(JSON.parse(stdout) as ModelAnalysis).toEqual(JSON.parse(JSON.stringify(analysis)));
    await model.close();
  });

  test.each([
    [['analyze'], 'analyze needs a FILE'],
    [['analyze', 'a', 'b'], "takes only one FILE; 'b' is a second"],
    [['analyze', '--formats', 'Q4_Q', WHALE], "unknown format 'Q4_Q'; did you mean Q4_"],
    [['analyze', '--sample', '0', WHALE], "--sample is '0', and must be a number of weights or all"],
  ])('%j is rejected as wrong usage', async (args, sentence) => {
    const outcome = await quantpress(args);
    expect(outcome).toMatchObject({ code: 2, stdout: '' });
    expectSentence(outcome);
    expect(outcome.stderr).toContain(sentence);
  });
});

describe('quantize to a size', () => {
  test('writes the best mix and prints its error and the reason for each type', async () => {
    const { file } = folder();
    const args = ['quantize', '--target-size', '1.9MB', '--report', file('report.json'), WHALE, file('out.gguf')];
    const { code, stdout, stderr } = await quantpress(args);
    expect(code).toBe(0);
    const model = await openModel(WHALE);
    const mix = await bestMix(model, await analyzeModel(model), { targetSize: 1_900_000 });
    await model.close();
    expect(statSync(file('out.gguf')).size).toBe(mix.size);
    expect(stderr).toMatch(
      /best mix: 1\.90 MB, weight error \(RMS, relative\): \d\S+%; Q3_K_M \(1\.88 MB\): \d\S+%\nits objective is within \d\S*% of the best possible at this size\n/,
    );
    expect(stdout).toMatch(/output\.weight +F16 +Q\d_K +\d+ .* best mix\n/);
    const report = JSON.parse(readFileSync(file('report.json'), 'utf8'));
    expect(report.tensors.filter(({ why }: { why: string }) => why === 'best mix')).toHaveLength(30);
    // The same in a second run and when resumed.
    await quantpress(['quantize', '--quiet', '--resume', '--target-size', '1900K', WHALE, file('again.gguf')]);
    expect(sha256(file('again.gguf'))).toBe(sha256(file('out.gguf')));
  });

  test('accepts bits per weight, other options, and --dry-run', async () => {
    const { file, names } = folder();
    const options = [
      '--target-bpw',
      '4.2',
      '--dry-run',
      '--quiet',
      '--imatrix',
      WHALE_IMATRIX,
      '--tensor-type',
      'attn_v=q8_0',
    ];
    const { code, stdout } = await quantpress(['quantize', ...options, WHALE, file('out.gguf'), '1']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/blk\.0\.attn_v\.weight +256 x 128 +F16 +Q8_0 +\d+ +a pattern of the recipe\n/);
    expect(stdout).toMatch(/blk\.0\.attn_k\.weight +256 x 128 +F16 +I?Q\d\S* +\d+ +best mix\n/);
    expect(names()).toEqual([]);
  });

  test.each([
    [['--target-size', '1.9MB', WHALE], 2, 'quantize needs IN and OUT'],
    [['--target-size', 'small', WHALE, 'out'], 2, "--target-size is 'small', and must be a size such as 500MB or 2G"],
    [['--target-bpw', 'x', WHALE, 'out'], 2, "--target-bpw is 'x', and must be a number such as 4.2"],
    [['--target-bpw', '4', '--target-size', '1M', WHALE, 'out'], 2, 'cannot be used together'],
    [['--target-size', '1M', '--pure', WHALE, 'out'], 2, 'cannot be used together'],
    [
      ['--target-size', '1M', WHALE, 'out', 'Q4_K_M'],
      2,
      "a target size and the preset 'Q4_K_M' cannot be used together",
    ],
    [['--target-size', '100K', WHALE, 'out'], 1, 'no mix fits in 100000 bytes: the smallest file has'],
  ] as const)('%j exits with %i', async (args, code, sentence) => {
    const { path, names } = folder();
    const outcome = await quantpress(['quantize', '--quiet', ...args], path);
    expect(outcome).toMatchObject({ code, stdout: '' });
    expectSentence(outcome);
    expect(outcome.stderr).toContain(sentence);
    expect(names()).toEqual([]);
  });
});
