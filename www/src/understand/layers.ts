/** Where in a model a tensor is: which layer, and what it does there. */

/** `blk.12.attn_q.weight` is `attn_q` of layer 12; `output.weight` is outside the layers. */
export interface Place {
  readonly layer: number | undefined;
  readonly kind: string;
}

/** By the first number in the name, for that is how models count their layers. */
export function placeOf(name: string): Place {
  const plain = name.replace(/\.weight$/, '');
  const found = /^(.*?)\.(\d+)\.(.+)$/.exec(plain);
  if (!found) return { layer: undefined, kind: plain };
  const [, stack = '', layer = '', kind = ''] = found;
  return { layer: Number(layer), kind: stack === 'blk' || STACKS.test(stack) ? kind : `${stack}.${kind}` };
}

/** What the one stack of layers is called in a file that has no other. */
const STACKS = /^(model\.)?layers$|^transformer\.h$/;

/** The kind with `*` for every number that stands alone: `mlp.experts.12.up_proj` is `mlp.experts.*.up_proj`. */
export function foldedKind(kind: string): string {
  return kind.replace(/(^|\.)\d+(?=\.|$)/g, '$1*');
}
