import type { Recipe } from 'quantpress';

/** The reason that the rules of a best mix state. */
export const BEST_MIX = 'best mix';

/** Whether a recipe is a best mix: one that was found here, or came with a link. */
export function isMix({ tensorTypes = [] }: Recipe): boolean {
  return tensorTypes.some(({ why }) => why === BEST_MIX);
}

/** `tiny-whale-f16.gguf` and `Q4_K_M` -> `tiny-whale-Q4_K_M.gguf`; with changes of one's own, `-mix` after it. */
export function outputName(fileName: string, recipe: Recipe): string {
  const stem = fileName
    .replace(/\.(gguf|safetensors)$/i, '')
    .replace(/-\d{5}-of-\d{5}$/, '')
    .replace(/[-._](f32|f16|bf16|fp16|fp32)$/i, '');
  const changed = (recipe.tensorTypes?.length ?? 0) > 0 || recipe.outputTensorType || recipe.tokenEmbeddingType;
  return `${stem}-${recipe.preset}${changed ? '-mix' : ''}.gguf`;
}
