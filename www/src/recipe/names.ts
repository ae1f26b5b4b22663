import type { Recipe } from 'quantpress';

/** The reason stated by the rules of a best mix. */
export const BEST_MIX = 'best mix';

/** Whether a recipe is a best mix, found here or read from a link. */
export function isMix({ tensorTypes = [] }: Recipe): boolean {
  return tensorTypes.some(({ why }) => why === BEST_MIX);
}

/** `tiny-whale-f16.gguf` and `Q4_K_M` -> `tiny-whale-Q4_K_M.gguf`; with changes, `-mix` is appended. */
export function outputName(fileName: string, recipe: Recipe): string {
  const stem = fileName
    .replace(/\.(gguf|safetensors)$/i, '')
    .replace(/-\d{5}-of-\d{5}$/, '')
    .replace(/[-._](f32|f16|bf16|fp16|fp32)$/i, '');
  const changed = (recipe.tensorTypes?.length ?? 0) > 0 || recipe.outputTensorType || recipe.tokenEmbeddingType;
  return `${stem}-${recipe.preset}${changed ? '-mix' : ''}.gguf`;
}
