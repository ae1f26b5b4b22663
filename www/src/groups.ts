/** The part of a model that a tensor belongs to. The first match decides. */

import type { Names } from './state/tensors.js';

export interface Group {
  readonly id: string;
  readonly label: string;
  readonly pattern: RegExp;
}

export const GROUPS: readonly Group[] = [
  { id: 'norm', label: 'Norms and biases', pattern: /norm|\.bias$/ },
  { id: 'output', label: 'Output', pattern: /^(output|lm_head)\b/ },
  { id: 'embedding', label: 'Embeddings', pattern: /embd|embed|^wte|^wpe/ },
  { id: 'attention', label: 'Attention', pattern: /attn|attention/ },
  { id: 'feedforward', label: 'Feed-forward', pattern: /ffn|mlp|intermediate/ },
  { id: 'other', label: 'Other', pattern: /(?:)/ },
];

/** The index in {@link GROUPS} of a tensor's group, by its name. */
export function groupOf(name: string): number {
  return GROUPS.findIndex(({ pattern }) => pattern.test(name));
}

/** Data derived from a list of names, which many plans share. */
const known = new WeakMap<Names, Uint8Array>();

/** The groups of all names, as {@link groupOf} has them; pauses after every `piece`. */
export function* groupsOf(names: Names, piece: number): Generator<undefined, Uint8Array> {
  const found = known.get(names);
  if (found) return found;
  const groups = new Uint8Array(names.length);
  for (let index = 0; index < groups.length; index++) {
    groups[index] = groupOf(names.at(index));
    if (index % piece === piece - 1) yield;
  }
  known.set(names, groups);
  return groups;
}
