/** The configuration for weights in bitsandbytes' formats; `src/recipe/bnb.rs` writes it. */

import { release } from '../../engine/dispose.js';
import { expectObject } from '../../engine/check.js';
import { QuantpressError } from '../../engine/error.js';
import { callModel } from '../../engine/model.js';
import type { Model } from '../model.js';
import { planAtOnce } from '../plan-steps.js';
import { engineRecipe, isBnb, readRecipe, type BnbPreset, type Recipe } from '../recipe.js';

/**
 * Returns the `config.json` for a model quantized with the preset `NF4` or `FP4`: the model's own with the
 * `quantization_config` that `transformers` needs.
 *
 * @param recipe - `NF4` or `FP4`, or a recipe with one of them.
 * @throws {@link QuantpressError} `NOT_FOUND` if the model was opened without its `config.json`, `MALFORMED` if that is
 * not a JSON object, `ARGUMENT` if it says that the model is already quantized, and errors of planning.
 */
export function bnbConfig(model: Model, recipe: Recipe | BnbPreset): string {
  expectObject('model', model);
  const given = readRecipe('bnbConfig', recipe);
  if (!(model.files instanceof Map) || !isBnb(given)) {
    throw new QuantpressError(
      'ARGUMENT',
      'bnbConfig needs the model of a folder and a recipe with the preset NF4 or FP4',
      {},
    );
  }
  const text = model.files.get('config.json');
  if (!text)
    throw new QuantpressError('NOT_FOUND', 'the model was opened without its config.json; open its folder', {});
  const plan = planAtOnce(callModel(() => model.header.planner(engineRecipe(given))));
  try {
    return callModel(() => plan.bnbConfig(text)) ?? '';
  } finally {
    release(plan, callModel);
  }
}
