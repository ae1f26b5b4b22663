/** `quantpress imatrix` and `quantpress perplexity`. */

import { readFileSync, writeFileSync } from 'node:fs';
import { compareModels, evaluateModel, importanceOf, init, type Model, openModel } from 'quantpress';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectSentence, quantpress } from './support/cli.js';
import { folder } from './support/files.js';
import { WHALE, WHALE_TEXT } from './support/whale.js';

const text = readFileSync(WHALE_TEXT, 'utf8').replace(/\n$/, '');
const SHORT = ['--chunks', '2', '-c', '32'];
const short = { chunks: 2, chunkSize: 32 };

let model: Model;

beforeAll(async () => {
  await init();
  model = await openModel(WHALE);
});
afterAll(() => model.close());

describe('imatrix', () => {
  test('writes the file that importanceOf returns', async () => {
    const { file, names } = folder();
    const outcome = await quantpress(['imatrix', ...SHORT, '--process-output', WHALE, WHALE_TEXT, file('im.gguf')]);
    expect(outcome).toMatchObject({ code: 0 });
    const expected = await importanceOf(model, text, { ...short, processOutput: true, dataset: WHALE_TEXT });
    expect(readFileSync(file('im.gguf')).equals(expected.bytes)).toBe(true);
    expect(outcome.stdout).toMatch(/im\.gguf: \d+\.\d kB, from 2 chunks of 32 tokens \(the text has 43445\)\n$/);
    expect(outcome.stderr).toMatch(/^ *\d\d?% {2}blk\./);
    expect(names()).toEqual(['im.gguf']);
  });

  test('--json prints the counts, and quantize takes the file', async () => {
    const { file } = folder();
    const { code, stdout, stderr } = await quantpress([
      ...['imatrix', ...SHORT, '--json', WHALE, WHALE_TEXT, file('im.gguf')],
    ]);
    expect(code).toBe(0);
    const size = readFileSync(file('im.gguf')).length;
    expect(JSON.parse(stdout)).toEqual({ tokens: 43_445, ...short, size });
    expect(stderr).not.toBe('');
    const args = ['quantize', '--quiet', '--imatrix', file('im.gguf'), WHALE, file('out.gguf'), 'Q4_K_M'];
    expect(await quantpress(args)).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  test('--quiet prints nothing, and a failure leaves nothing behind', async () => {
    const { file, names } = folder();
    const args = ['imatrix', '--quiet', ...SHORT, WHALE, WHALE_TEXT, file('im.gguf')];
    expect(await quantpress(args)).toEqual({ code: 0, stdout: '', stderr: '' });
    writeFileSync(file('text'), 'too short');
    const outcome = await quantpress(['imatrix', WHALE, file('text'), file('other.gguf')]);
    expect(outcome).toMatchObject({ code: 1, stdout: '' });
    expectSentence(outcome);
    expect(outcome.stderr).toContain('chunks of 256 need at least 512');
    expect(names()).toEqual(['im.gguf', 'text']);
  });
});

describe('perplexity', () => {
  test('prints the perplexity', async () => {
    const { perplexity } = await evaluateModel(model, text, short);
    const { code, stdout } = await quantpress(['perplexity', ...SHORT, WHALE, WHALE_TEXT]);
    expect(code).toBe(0);
    const [value, uncertainty] = [perplexity.value.toFixed(6), perplexity.uncertainty.toFixed(6)];
    expect(stdout).toBe(`perplexity ${value} ± ${uncertainty}, 30 tokens scored in 2 chunks of 32\n`);
  });

  test('--against compares with the original, --json prints all figures', async () => {
    const { file } = folder();
    await quantpress(['quantize', '--quiet', WHALE, file('q4.gguf'), 'Q4_0']);
    const args = ['perplexity', ...SHORT, '--against', WHALE];
    const { code, stdout } = await quantpress([...args, file('q4.gguf'), WHALE_TEXT]);
    expect(code).toBe(0);
    const quantized = await openModel(file('q4.gguf'));
    const found = await compareModels(model, quantized, text, short);
    await quantized.close();
    expect(stdout).toContain(`KL divergence, mean`);
    expect(stdout).toContain(`${found.divergence.value.toFixed(6)} ± ${found.divergence.uncertainty.toFixed(6)}`);
    expect(stdout).toMatch(/KL divergence, maximum +\d+\.\d+\n/);
    expect(stdout).toMatch(/same most likely token +\d+\.\d+% ± \d+\.\d+%\n\n30 tokens scored in 2 chunks of 32\n$/);
    const json = await quantpress([...args, '--json', '--quiet', file('q4.gguf'), WHALE_TEXT]);
    expect(json).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(json.stdout)).toEqual(found);
  });
});

test.each([
  [['imatrix', WHALE, 'text'], 'imatrix needs MODEL, TEXT and OUT'],
  [['imatrix', 'a', 'b', 'c', 'd'], "'d' is one argument too many"],
  [['imatrix', '--chunks', '0', 'a', 'b', 'c'], "--chunks is '0', and must be a whole number from 1 to 999999999"],
  [['perplexity', WHALE], 'perplexity needs MODEL and TEXT'],
  [['perplexity', '-c', 'many', 'a', 'b'], "--ctx-size is 'many', and must be a whole number from 1 to 999999999"],
  [['perplexity', 'a', 'b', 'c'], "'c' is one argument too many"],
])('%j is rejected as wrong usage', async (args, sentence) => {
  const outcome = await quantpress(args);
  expect(outcome).toMatchObject({ code: 2, stdout: '' });
  expectSentence(outcome);
  expect(outcome.stderr).toContain(sentence);
});
