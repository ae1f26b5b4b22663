/** The texts and figures of a block. */

import type { Bit } from './numbers.ts';
import type { Layout, Quantity, Role, Values } from './layouts.ts';

/** The name of each role. */
export const ROLE: Readonly<Record<Role, string>> = {
  scale: 'scale',
  minimum: 'minimum',
  subscale: 'scale of a part',
  subminimum: 'minimum of a part',
  code: 'code',
  high: 'high bits',
  point: 'point of a grid',
  sign: 'sign',
  shift: 'shift',
  unused: 'not for decoding',
};

/** A number in about five digits: 0.01234, −3.2, 1.5e−7. */
export function figure(value: number, significant = 5): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '∞' : '−∞';
  const size = Math.abs(value);
  const text =
    value === 0 || (size >= 1e-4 && size < 1e7)
      ? String(Number(value.toPrecision(significant)))
      : value.toExponential(significant - 2).replace(/\.?0+e/, 'e');
  return text.replace(/-/g, '−');
}

const SUBSCRIPTS = '₀₁₂₃₄₅₆₇₈₉';
/** `s`, 3 -> `s₃`. */
export function named({ symbol, index }: Quantity): string {
  return index === undefined
    ? symbol
    : symbol + String(index).replace(/\d/g, (digit) => SUBSCRIPTS[Number(digit)] ?? '');
}

/** [0, 1, 2, 3, 8] -> `0–3, 8`; even steps longer than one are `0, 32 … 128`. */
export function ranges(weights: readonly number[]): string {
  const runs: [number, number][] = [];
  for (const weight of weights) {
    const last = runs.at(-1);
    if (last && last[1] === weight - 1) last[1] = weight;
    else runs.push([weight, weight]);
  }
  return runs.map(([from, to]) => (from === to ? String(from) : `${from}–${to}`)).join(', ');
}

/** `weight 3`, `weights 0–31`, `no weight`. */
export function reached(weights: readonly number[], all: number): string {
  if (weights.length === 0) return 'no weight';
  if (weights.length === all) return all === 1 ? 'the weight' : `all ${all} weights`;
  return weights.length === 1 ? `weight ${weights[0]}` : `weights ${ranges(weights)}`;
}

/** Two hexadecimal digits. */
export function hex(byte: number): string {
  return byte.toString(16).padStart(2, '0');
}

/** The description of one bit: `bit 3 of q₁₆`. */
export function bitName({ quantity, place }: Bit): string {
  const single = quantity.pieces.length === 1 && quantity.pieces[0]?.width === 1;
  return single ? named(quantity) : `bit ${place} of ${named(quantity)}`;
}

/** Symbols for values derived from the bits of others. */
const FOLLOWS: Readonly<Record<string, readonly string[]>> = { v: ['p', 'q'], δ: ['h'], t: ['b'] };

/** The role of the bits of a symbol. */
export function roleOf({ quantities }: Layout, symbol: string): Role | undefined {
  const names = [symbol, ...(FOLLOWS[symbol] ?? [])];
  return quantities.find((quantity) => names.includes(quantity.symbol))?.pieces[0]?.role;
}

/** A piece of a formula: text or a symbol, in an exponent or not. */
export interface FormulaPart {
  readonly text: string;
  readonly symbol: boolean;
  readonly raised: boolean;
}

/** The pieces of a formula, in order. */
export function formulaParts({ formula }: Layout): FormulaPart[] {
  const parts: FormulaPart[] = [];
  let raised = false;
  for (const text of formula.split(/(\{[^}]+\}|[⟨⟩])/)) {
    if (text === '⟨' || text === '⟩') raised = text === '⟨';
    else if (text.startsWith('{')) parts.push({ text: text.slice(1, -1), symbol: true, raised });
    else if (text) parts.push({ text, symbol: false, raised });
  }
  return parts;
}

/** A value as written in a formula. */
export function inFormula(symbol: string, values: Values): string {
  const value = values[symbol] ?? 0;
  if (symbol === 'σ') return value < 0 ? '−' : '+';
  const text = figure(value);
  return text.startsWith('−') ? `(${text})` : text;
}
