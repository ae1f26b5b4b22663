/** Which tensors of a Hugging Face model bitsandbytes quantizes: the weights of linear layers, but for some. */

import { QuantpressError } from './error.js';
import type { TensorInfo } from './model.js';

/** Parts of names of two-dimensional weights that are no linear layers, or that `transformers` leaves alone. */
const KEPT: readonly (readonly [part: RegExp, why: string])[] = [
  [/(^|\.)(lm_head|embed_out|output_projection)\./, 'the output decides every token'],
  [/(^|\.)\w*embed\w*\.|(^|\.)w[tp]e\./i, 'a table of embeddings'],
  [/(^|\.)shared\.weight$/, 'a table of embeddings'],
  [/relative_attention_bias\./, 'a table of embeddings'],
  [/norm\w*\.weight$/i, 'a norm'],
  // transformers keeps experts in one parameter each, which is no linear layer.
  [/\.experts\.|\.router\.|\.(mlp|block_sparse_moe)\.gate\./, 'of a mixture of experts'],
];

/** Weights that are stored the other way round. */
const TRANSPOSED = /\.(c_attn|c_fc|c_proj)\.weight$/;

/** Why a tensor stays as it is; nothing if it is quantized. `excluded` are names of modules, or parts of them. */
export function whyKept({ name, shape }: TensorInfo, excluded: readonly string[]): string | undefined {
  if (!name.endsWith('.weight') || shape.length !== 2) return 'not the weight of a linear layer';
  const module = name.slice(0, -'.weight'.length);
  if (excluded.some((part) => `.${module}.`.includes(`.${part}.`))) return 'the recipe excludes it';
  const kept = KEPT.find(([part]) => part.test(name));
  if (kept) return kept[1];
  if (!TRANSPOSED.test(name)) return undefined;
  const message = `tensor '${name}' is stored the other way round (Conv1D of GPT-2), which is not converted to 4 bits`;
  throw new QuantpressError('UNSUPPORTED', message, { tensor: name });
}

/** The modules that `transformers` must not look for 4-bit weights in. */
export function skippedModules(tensors: readonly TensorInfo[], excluded: readonly string[]): string[] {
  const kept = tensors.filter((tensor) => tensor.shape.length === 2 && whyKept(tensor, excluded) !== undefined);
  const modules = kept
    .filter(({ name }) => name.endsWith('.weight'))
    .map(({ name }) => name.slice(0, -'.weight'.length));
  // The output may be tied to the embeddings, and have no tensor of its own.
  return [...new Set([...modules, 'lm_head', ...excluded])];
}
