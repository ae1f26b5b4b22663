/** `quantpress quantize FOLDER OUT NF4`: a folder that `transformers` loads. */

import { join } from 'node:path';
import { bnbConfig } from '../model/bnb/config.js';
import type { Recipe } from '../model/plan.js';
import type { Model } from '../model/model.js';
import { FolderTarget } from '../io/target/folder.js';

const WEIGHTS = 'model.safetensors';
const CONFIG = 'config.json';

/** The folder as a target: the weights, the configuration with the quantization, and the model's other files. */
export function folderTarget(model: Model, recipe: Recipe, output: string): { target: FolderTarget; path: string } {
  const files = new Map([...model.files].filter(([name]) => !name.includes('/')));
  files.set(CONFIG, new TextEncoder().encode(bnbConfig(model, recipe)));
  return { target: new FolderTarget(output, WEIGHTS, CONFIG, files), path: join(output, WEIGHTS) };
}
