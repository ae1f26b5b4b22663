/** `quantpress quantize FOLDER OUT NF4`: a folder that `transformers` loads. */

import { mkdir, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fourBitConfig } from './four-bit-plan.js';
import type { Recipe } from './model-plan.js';
import type { Model } from './model.js';
import { systemError } from './system-error.js';

/**
 * Makes the folder `output`, lets `convert` write the model there, and when that is done puts what belongs to it beside it:
 * the configuration, and the model's own other files.
 */
export async function inFolder(
  model: Model,
  recipe: Recipe,
  output: string,
  convert: (path: string) => Promise<void>,
): Promise<void> {
  const config = fourBitConfig(model, recipe);
  const made = await doing(output, () => mkdir(output, { recursive: true }));
  try {
    await convert(join(output, 'model.safetensors'));
  } catch (error) {
    // Nothing is left behind but what was there before.
    if (made !== undefined) await rmdir(output).catch(() => {});
    throw error;
  }
  for (const [name, bytes] of model.files) {
    if (name !== 'config.json' && !name.includes('/')) await doing(output, () => writeFile(join(output, name), bytes));
  }
  await doing(output, () => writeFile(join(output, 'config.json'), config));
}

async function doing<T>(output: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    throw systemError(error, `cannot write '${output}'`, { path: output });
  }
}
