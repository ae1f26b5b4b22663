/** `quantpress quantize --target-size`: the model is analysed, and the best mix chosen. */

import { analyzeModel } from './analyze.js';
import { bestMix, type Mix, type MixTarget } from './best-mix.js';
import type { QuantizeRequest } from './cli-args.js';
import { percent } from './cli-figures.js';
import { createDisplay } from './cli-progress.js';
import { bytes } from './cli-text.js';
import type { Recipe } from './model-plan.js';
import type { Model } from './model.js';

/** The recipe of the best mix. What it is, and what it is better than, is said on stderr. */
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

function summary({ size, objective, bound, nearestPreset: nearest }: Mix): string {
  const error = `error ${percent(Math.sqrt(objective))} %, no mix of this size is below ${percent(Math.sqrt(bound))} %`;
  const preset = nearest
    ? `; ${nearest.name} (${bytes(nearest.size)}) has ${percent(Math.sqrt(nearest.objective))} %`
    : '';
  return `best mix: ${bytes(size)}, ${error}${preset}`;
}
