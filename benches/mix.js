#!/usr/bin/env node
/**
 * The best mix for a size compared with the presets, by predictions of the model in a live llama.cpp.
 *
 * `node benches/mix.js` quantizes tests/fixtures/tiny-whale to the sizes of some presets, and measures perplexity and
 * divergence on text that was not used for training. On other text it also measures the influence of each kind of
 * tensor, from which the weights in the objective of `bestMix` are derived (js/model/best-mix/best-mix.ts). `--record`
 * writes `benches/results/mix.md`.
 */

import { fork } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { analyzeModel, bestMix, init, openModel, quantizeModel } from '../dist/node.js';
import { report, table, wanted } from './lib/record.js';

/** @typedef {import('../tests/oracle/llama_perplexity.js').Score} Score */

const PRESETS = wanted.length > 0 ? wanted : ['Q5_K_M', 'Q4_K_M', 'Q3_K_M', 'Q2_K'];
const KINDS = [
  ['output', '^output\\.weight$'],
  ['token_embd', '^token_embd\\.weight$'],
  ...['attn_q', 'attn_k', 'attn_v', 'attn_output', 'ffn_gate', 'ffn_up', 'ffn_down'].map((kind) => [
    kind,
    `\\.${kind}\\.weight$`,
  ]),
];

/** @param {string} name */
const fixture = (name) => fileURLToPath(new URL(`../tests/fixtures/tiny-whale/${name}`, import.meta.url));
const whale = fixture('tiny-whale-f16.gguf');
const folder = mkdtempSync(join(tmpdir(), 'quantpress-mix-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

/**
 * The scores of the original model and of `models`. @param {string[]} models @param {string} text @returns
 * {Promise<Score[]>}
 */
async function scores(models, text) {
  const script = fileURLToPath(new URL('../tests/oracle/llama_perplexity.js', import.meta.url));
  const child = fork(script, [], { serialization: 'advanced', stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
  /** @type {Score[] | undefined} */
  let result;
  child.on('message', (/** @type {Score[]} */ message) => {
    result = message;
  });
  child.send({ models: [whale, ...models], text });
  const code = await new Promise((resolve) => child.on('close', resolve));
  if (!result) throw new Error(`llama.cpp ended with ${code}`);
  return result;
}

await init();
const model = await openModel(whale);
const held = readFileSync(fixture('eval.txt'), 'utf8');
const trained = readFileSync(fixture('calib.txt'), 'utf8');
/** @param {number} share */
const percent = (share) => (100 * share).toPrecision(3);

/** Measures the influence of each kind of tensor. */
async function influences() {
  const files = [];
  const rows = [];
  for (const [kind = '', pattern = ''] of KINDS) {
    const file = join(folder, `${kind}.gguf`);
    const tensorTypes = /** @type {const} */ ([
      { pattern, type: 'Q3_K' },
      { pattern: '.', type: 'F16' },
    ]);
    const { tensors } = await quantizeModel(model, file, { preset: 'Q8_0', tensorTypes }, { report: true });
    const changed = tensors.filter(({ to }) => to === 'Q3_K');
    const weights = changed.reduce((sum, { bytes }) => sum + (bytes / 110) * 256, 0);
    const error = changed.reduce((sum, tensor) => sum + (tensor.error?.relativeRmse ?? 0) ** 2, 0) / changed.length;
    files.push(file);
    rows.push({ kind, weights, error });
  }
  const [, ...found] = await scores(files, trained);
  const rates = rows.map(({ weights, error }, index) => (found[index]?.divergence ?? 0) / error / weights);
  const usual = rates.toSorted((a, b) => a - b)[Math.floor(rates.length / 2)] ?? 1;
  return rows.map(({ kind, weights, error }, index) => [
    kind,
    String(weights),
    percent(Math.sqrt(error)),
    (found[index]?.divergence ?? 0).toFixed(6),
    ((rates[index] ?? 0) / usual).toFixed(2),
  ]);
}

/** Compares every preset with the mix of its size. @param {string | undefined} imatrix */
async function compared(imatrix) {
  const analysis = await analyzeModel(model, { sample: 'all', imatrix });
  const made = [];
  for (const preset of PRESETS) {
    const [theirs, ours] = [preset, `${preset}-mix`].map((name) => join(folder, `${name}${imatrix ? '-i' : ''}.gguf`));
    const { size } = await quantizeModel(model, theirs ?? '', preset, { imatrix });
    const mix = await bestMix(model, analysis, { targetSize: size }, { imatrix });
    await quantizeModel(model, ours ?? '', mix.recipe, { imatrix });
    made.push({ preset, size, mix, files: [theirs ?? '', ours ?? ''] });
  }
  const [, ...found] = await scores(
    made.flatMap(({ files }) => files),
    held,
  );
  return made.map(({ preset, size, mix }, index) => {
    const [a, b] = [found[2 * index], found[2 * index + 1]];
    return [
      `${preset}${imatrix ? ', imatrix' : ''}`,
      String(size),
      String(mix.size),
      ...[mix.objective, mix.bound].map((objective) => percent(Math.sqrt(objective))),
      ...[a, b].map((score) => (score?.perplexity ?? 0).toFixed(3)),
      ...[a, b].map((score) => (score?.divergence ?? 0).toFixed(5)),
      `**${((b?.divergence ?? 0) / (a?.divergence ?? 1)).toFixed(2)}**`,
    ];
  });
}

const mixes = [...(await compared(undefined)), ...(await compared(fixture('tiny-whale.imatrix.gguf')))];
const sizes = ['at the size of', 'bytes: preset', 'mix', 'error % of the mix', 'bound'];
const qualities = ['perplexity: preset', 'mix', 'divergence: preset', 'mix', 'ratio'];
const head = ['kind', 'weights', 'error %', 'divergence', 'for its error and weights'];
report(
  'mix',
  'The best mix for a size',
  `\`npm run bench mix\` writes this file.
Tiny Whale (perplexity ${(await scores([], held))[0]?.perplexity.toFixed(3)} as F16) at the sizes of presets, run in llama.cpp on text that
it was not trained on. "divergence" is the mean Kullback-Leibler divergence of its predictions from those of the F16 model, in
nats. "ratio" is the divergence of the mix over that of the preset (lower is better). "bound" is the lower bound that comes with
each mix: no choice of types within the size has a smaller error by the same measure.`,
  [
    table([...sizes, ...qualities], mixes),
    `## The influence of each kind of tensor

Only tensors of one kind are in Q3_K, on other text. The last column is the divergence divided by the squared error and the
number of weights, relative to the median: \`bestMix\` uses 8 (output), 2 (attention values) and 1 (all others).`,
    table(head, await influences()),
  ].join('\n\n'),
);
await model.close();
