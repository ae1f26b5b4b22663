/** The configuration for weights in bitsandbytes' formats. */

import { release } from '../../engine/dispose.js';
import { expectObject } from '../../engine/check.js';
import type { ModelPlan } from '../../engine/bindings.js';
import { QuantpressError } from '../../engine/error.js';
import { call } from '../../engine/wasm.js';
import type { Model } from '../model.js';
import { engineRecipe, isFourBit, readRecipe, type FourBitPreset, type Recipe } from '../recipe.js';

/**
 * Returns the `config.json` for a model quantized with the preset `NF4` or `FP4`: the model's own with the
 * `quantization_config` that `transformers` needs.
 *
 * @param recipe - `NF4` or `FP4`, or a recipe with one of them.
 * @throws {@link QuantpressError} `NOT_FOUND` if the model was opened without its `config.json`, `MALFORMED` if that is
 * not a JSON object, `ARGUMENT` if it says that the model is already quantized, and errors of planning.
 */
export function fourBitConfig(model: Model, recipe: Recipe | FourBitPreset): string {
  expectObject('model', model);
  const given = readRecipe('fourBitConfig', recipe);
  if (!(model.files instanceof Map) || !isFourBit(given)) {
    throw new QuantpressError(
      'ARGUMENT',
      'fourBitConfig needs the model of a folder and a recipe with the preset NF4 or FP4',
      {},
    );
  }
  const text = model.files.get('config.json');
  if (!text)
    throw new QuantpressError('NOT_FOUND', 'the model was opened without its config.json; open its folder', {});
  const skipped = skippedModules(model, given);
  const source = new TextDecoder().decode(text);
  const config = JSON.parse(source) as Record<string, unknown>;
  const quantization_config = {
    ...{ load_in_4bit: true, load_in_8bit: false, _load_in_4bit: true, _load_in_8bit: false },
    ...{ bnb_4bit_compute_dtype: config.dtype ?? config.torch_dtype ?? 'float32', bnb_4bit_quant_storage: 'uint8' },
    ...{ bnb_4bit_quant_type: given.preset.toLowerCase(), bnb_4bit_use_double_quant: given.doubleQuant === true },
    llm_int8_skip_modules: skipped,
    quant_method: 'bitsandbytes',
  };
  const member = JSON.stringify({ quantization_config }, null, 2).slice(1);
  // Edited as text: JavaScript would write 10000.0 as 10000, which Python reads as an integer and rejects.
  const rest = source.trimEnd().slice(0, -1).trimEnd();
  return `${rest}${rest.endsWith('{') ? '' : ','}${member}\n`;
}

/**
 * The modules that are not quantized. Planning reads config.json and rejects it if it is not a JSON object or if the
 * model is already quantized.
 */
function skippedModules(model: Model, recipe: Recipe): string[] {
  const plan = call(() => model.header.plan(engineRecipe(recipe))) as ModelPlan;
  try {
    return call(() => plan.skippedModules()) ?? [];
  } finally {
    release(plan);
  }
}
