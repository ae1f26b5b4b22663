/** The position of a tensor in a model: its layer and its kind. */

/** `blk.12.attn_q.weight` is `attn_q` of layer 12; `output.weight` is outside the layers. */
export interface Place {
  readonly layer: number | undefined;
  readonly kind: string;
}

/** By the first number in the name, which is the layer in most models. */
export function placeOf(name: string): Place {
  const plain = name.replace(/\.weight$/, '');
  const found = /^(.*?)\.(\d+)\.(.+)$/.exec(plain);
  if (!found) return { layer: undefined, kind: plain };
  const [, stack = '', layer = '', kind = ''] = found;
  return { layer: Number(layer), kind: stack === 'blk' || STACKS.test(stack) ? kind : `${stack}.${kind}` };
}

/** The name of the only stack of layers in a file, if there is one. */
const STACKS = /^(model\.)?layers$|^transformer\.h$/;

/** The kind with `*` for every separate number: `mlp.experts.12.up_proj` is `mlp.experts.*.up_proj`. */
export function foldedKind(kind: string): string {
  return kind.replace(/(^|\.)\d+(?=\.|$)/g, '$1*');
}
