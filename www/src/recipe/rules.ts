/**
 * A compact form of rules that name one tensor each: kinds of tensors, then types, then the layers of each type.
 * `attn_k Q6_K 0-3 Q5_K 4 output Q8_0` means `^blk\.0\.attn_k\.weight$` to 3 in Q6_K, 4 in Q5_K, and `output` in Q8_0.
 *
 * A word that begins with a lower-case letter is a name without `.weight`, and without `blk.N.`; other layer numbers
 * are replaced by `*`. A word that begins with a capital is a type, with a digit layers. In a URL spaces are `+`.
 */

import type { FormatName, Recipe } from 'quantpress';

/** A rule of a recipe. */
export type Rule = NonNullable<Recipe['tensorTypes']>[number];

/**
 * `^`, a name of small letters, digits, `_` and `-` with escaped dots, `.weight` and `$`: the pattern of one tensor's
 * name.
 */
const EXACT = /^\^([a-z][a-z0-9_-]*(?:\\\.[a-z0-9_-]+)*)\\\.weight\$$/;
const LAYER = /^([a-z][a-z0-9_.-]*?)\.(0|[1-9]\d{0,4})\.([a-z0-9_.-]+)$/;
const TYPE = /^[A-Z][A-Z0-9_]*$/;
const OUTSIDE = -1;

/** Whether a rule is for exactly one tensor, so that it can be packed. */
export function isPackable({ pattern, type }: Rule): boolean {
  return EXACT.test(pattern) && TYPE.test(type);
}

/**
 * Packs rules, or returns `undefined` if one of them is not for exactly one tensor. Of two for one tensor the first
 * decides.
 */
export function packRules(rules: readonly Rule[]): string | undefined {
  const kinds = new Map<string, Map<number, FormatName>>();
  for (const { pattern, type } of rules) {
    const name = EXACT.exec(pattern)?.[1]?.replaceAll('\\.', '.');
    if (name === undefined || !TYPE.test(type)) return undefined;
    const { kind, layer } = placeOf(name);
    const layers = kinds.get(kind) ?? new Map<number, FormatName>();
    if (!layers.has(layer)) layers.set(layer, type);
    kinds.set(kind, layers);
  }
  const words: string[] = [];
  for (const [kind, layers] of [...kinds].sort(([a], [b]) => (a < b ? -1 : 1))) {
    words.push(kind);
    const outside = layers.get(OUTSIDE);
    if (outside !== undefined) words.push(outside);
    const types = new Map<FormatName, number[]>();
    for (const [layer, type] of [...layers].sort(([a], [b]) => a - b)) {
      if (layer === OUTSIDE) continue;
      const of = types.get(type) ?? [];
      of.push(layer);
      types.set(type, of);
    }
    for (const [type, of] of types) words.push(type, ...ranges(of));
  }
  return words.join(' ');
}

/** Unpacks at most `most` rules; unknown words are skipped. */
export function unpackRules(text: string, most: number): Rule[] {
  const rules: Rule[] = [];
  let [kind, type, alone] = ['', undefined as FormatName | undefined, false];
  const add = (layer: number): void => {
    const name = nameOf(kind, layer);
    if (name === undefined || type === undefined || rules.length >= most) return;
    rules.push({ pattern: `^${name.replaceAll('.', '\\.')}\\.weight$`, type });
  };
  // A type without layers applies to a tensor outside the layers.
  const end = (): void => {
    if (alone) add(OUTSIDE);
    alone = false;
  };
  for (const word of text.split(/\s+/)) {
    const layers = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(word);
    if (layers) {
      const [, from = '0', to = from] = layers;
      alone = false;
      for (let layer = Number(from); layer <= Number(to) && rules.length < most; layer++) add(layer);
    } else if (TYPE.test(word)) {
      end();
      [type, alone] = [word as FormatName, true];
    } else if (/^[a-z][a-z0-9_.*-]*$/.test(word)) {
      end();
      [kind, type] = [word, undefined];
    }
  }
  end();
  return rules;
}

/** `blk.3.attn_q` is `attn_q` of layer 3, `enc.blk.3.attn_q` is `enc.blk.*.attn_q` of it, and `output` is outside the layers. */
function placeOf(name: string): { kind: string; layer: number } {
  const [, stack, layer, rest] = LAYER.exec(name) ?? [];
  if (layer === undefined) return { kind: name, layer: OUTSIDE };
  return { kind: stack === 'blk' ? `${rest}` : `${stack}.*.${rest}`, layer: Number(layer) };
}

function nameOf(kind: string, layer: number): string | undefined {
  if (kind === '') return undefined;
  if (layer === OUTSIDE) return kind.includes('*') ? undefined : kind;
  return kind.includes('*') ? kind.replace('*', String(layer)) : `blk.${layer}.${kind}`;
}

/** 0, 1, 2, 5 -> `0-2`, `5`. */
function ranges(numbers: readonly number[]): string[] {
  const runs: [number, number][] = [];
  for (const number of numbers) {
    const run = runs.at(-1);
    if (run && run[1] === number - 1) run[1] = number;
    else runs.push([number, number]);
  }
  return runs.map(([from, to]) => (from === to ? String(from) : `${from}-${to}`));
}
