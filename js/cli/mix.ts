/** `quantpress quantize --target-size`: the model is analysed, and the best mix chosen. */

import { analyzeModel } from '../model/analyze/analyze.js';
import { bestMix, type Mix, type MixTarget } from '../model/best-mix/best-mix.js';
import type { QuantizeRequest } from './args.js';
import { percent, weightErrorText } from './figures.js';
import { createDisplay } from './progress.js';
import { bytes } from './text.js';
import type { Recipe } from '../model/plan.js';
import type { Model } from '../model/model.js';

/** Returns the recipe of the best mix, and prints its size, its error and the nearest preset on stderr. */
export async function mixFor(
  model: Model,
  { imatrix, options, threads, quiet }: QuantizeRequest,
  target: MixTarget,
  signal: AbortSignal,
): Promise<Recipe> {
  const display = createDisplay(process.stderr, quiet);
  const onProgress = display.step.bind(display);
  const analysis = await analyzeModel(model, { imatrix, workers: threads, signal, onProgress }).finally(() =>
    display.clear(),
  );
  const mix = await bestMix(model, analysis, target, { imatrix, recipe: options });
  if (!quiet) console.error(summary(mix));
  return mix.recipe;
}

function summary({ size, weightError, objective, bound, nearestPreset: nearest }: Mix): string {
  const preset = nearest ? `; ${nearest.name} (${bytes(nearest.size)}): ${shown(nearest.weightError)}` : '';
  const lines = [`best mix: ${bytes(size)}, ${weightErrorText(weightError)}${preset}`];
  // The objective weighs tensors by their influence, so it differs from the weight error: only its ratio to the bound
  // is printed.
  const above = bound > 0 ? 100 * (objective / bound - 1) : 0;
  lines.push(`its objective is within ${above.toPrecision(2)}% of the best possible at this size`);
  return lines.join('\n');
}

function shown(error: number | undefined): string {
  return error === undefined ? 'not measured' : `${percent(error)}%`;
}
