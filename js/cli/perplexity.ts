/** `quantpress perplexity`. */

import { readPerplexity } from './args.js';
import { createDisplay } from './progress.js';
import { table } from './text.js';
import { readText } from './text-file.js';
import { escapedJson } from '../engine/escape.js';
import {
  compareModels,
  evaluateModel,
  type Estimate,
  type EvaluatedText,
  type ModelComparison,
  type Percentile,
} from '../model/evaluate/evaluate.js';
import { openModel, type Model } from '../model/model.js';

/** Runs the command. */
export async function perplexity(args: string[], signal: AbortSignal): Promise<void> {
  const { file, text, against, run, json, quiet, url } = readPerplexity(args);
  const { bytes } = await readText(text, signal);
  const display = createDisplay(process.stderr, quiet);
  const options = { ...run, signal, onProgress: display.step.bind(display) };
  const models: Model[] = [];
  const open = async (name: string) => {
    const model = await openModel(name, { ...url, signal });
    models.push(model);
    return model;
  };
  try {
    const model = await open(file);
    if (against === undefined) {
      const found = await evaluateModel(model, bytes, options).finally(() => display.clear());
      const line = `perplexity ${estimate(found.perplexity)}, ${scored(found)}`;
      process.stdout.write(`${json ? escapedJson(found, undefined, 2) : line}\n`);
    } else {
      const found = await compareModels(await open(against), model, bytes, options).finally(() => display.clear());
      process.stdout.write(`${json ? escapedJson(found, undefined, 2) : asText(found)}\n`);
    }
  } finally {
    for (const model of models) await model.close();
  }
}

function asText(found: ModelComparison): string {
  const rows: [string, string][] = [
    ['perplexity', estimate(found.perplexity)],
    ['perplexity of the original', estimate(found.basePerplexity)],
    ['ratio', estimate(found.ratio)],
    ['ln ratio', estimate(found.logRatio)],
    ['difference', estimate(found.difference)],
    ['correlation of ln perplexity', percent(found.correlation)],
    ['KL divergence, mean', estimate(found.divergence)],
    ...percentiles('KL divergence', found.divergencePercentiles, (value) => value.toFixed(6)),
    ['probability difference, mean', share(found.probabilityDifference)],
    ['probability difference, RMS', share(found.rmsProbabilityDifference)],
    ...percentiles('probability difference', found.probabilityDifferencePercentiles, percent),
    ['same most likely token', share(found.sameTop)],
  ];
  return `${table(['', '>'], rows)}\n\n${scored(found)}`;
}

/** As many digits as llama-perplexity prints. */
const estimate = ({ value, uncertainty }: Estimate) => `${value.toFixed(6)} ± ${uncertainty.toFixed(6)}`;
const share = ({ value, uncertainty }: Estimate) => `${(100 * value).toFixed(3)}% ± ${(100 * uncertainty).toFixed(3)}%`;
const percent = (value: number) => `${(100 * value).toFixed(3)}%`;

function percentiles(what: string, found: readonly Percentile[], show: (value: number) => string): [string, string][] {
  return found.map(({ percent, value }) => [`${what}, ${NAMES[percent] ?? `${percent}%`}`, show(value)]);
}

const NAMES: Partial<Record<number, string>> = { 100: 'maximum', 50: 'median', 0: 'minimum' };

const scored = ({ tokens, chunks, chunkSize }: EvaluatedText) =>
  `${tokens} tokens scored in ${chunks} chunks of ${chunkSize}`;
