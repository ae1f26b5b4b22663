/** The configuration that goes beside weights in bitsandbytes' formats. */

import { release } from '../../engine/dispose.js';
import { expectObject } from '../../engine/check.js';
import type { ModelPlan } from '../../engine/bindings.js';
import { QuantpressError } from '../../engine/error.js';
import { call } from '../../engine/wasm.js';
import type { Model } from '../model.js';
import { engineRecipe, isFourBit, readRecipe, type Recipe } from '../recipe.js';

/**
 * The `config.json` that goes beside a model made with the preset `NF4` or `FP4`: the model's own, and what tells
 * `transformers` how the weights are quantized.
 *
 * @throws {@link QuantpressError} `NOT_FOUND` if the model was opened without its `config.json`, `MALFORMED` if that is no
 * JSON object, `ARGUMENT` if it says that the model is quantized already, and what planning throws.
 */
export function fourBitConfig(model: Model, recipe: Recipe): string {
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
  // Set in the text: JavaScript would write 10000.0 as 10000, which Python takes for an integer, and complains.
  const rest = source.trimEnd().slice(0, -1).trimEnd();
  return `${rest}${rest.endsWith('{') ? '' : ','}${member}\n`;
}

/**
 * The modules that are not quantized. Planning reads config.json, and refuses it if it is not a JSON object or if the model is
 * quantized already.
 */
function skippedModules(model: Model, recipe: Recipe): string[] {
  const plan = call(() => model.header.plan(engineRecipe(recipe))) as ModelPlan;
  try {
    return call(() => plan.skippedModules()) ?? [];
  } finally {
    release(plan);
  }
}
