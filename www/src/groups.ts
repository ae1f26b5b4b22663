/** What part of a model a tensor belongs to. The first pattern that fits decides. */

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

/** The group of a tensor, by its name. */
export function groupOf(name: string): Group {
  return GROUPS.find((group) => group.pattern.test(name)) as Group;
}
