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

/** Groups of names that were looked at before: a file may have hundreds of thousands of tensors. */
let known = new Map<string, Group>();
const MOST = 1_000_000;

/** The group of a tensor, by its name. */
export function groupOf(name: string): Group {
  let group = known.get(name);
  if (group) return group;
  if (known.size > MOST) known = new Map();
  group = GROUPS.find(({ pattern }) => pattern.test(name)) as Group;
  known.set(name, group);
  return group;
}
