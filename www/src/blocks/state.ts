/** One block: its weights, its bytes, and the selection. Views read signals; only the functions here change them. */

import { batch, computed, signal } from '@preact/signals';
import {
  compareError,
  dequantize,
  type Format,
  type FormatName,
  formats,
  generateGaussianWeights,
  isReady,
  quantize,
} from 'quantpress';
import { opened } from './model.ts';
import { sentence } from '../ui/sentence.ts';
import { type Layout, layout } from './layouts.ts';
import { bitsOf, probe, put, reach, type Bit } from './numbers.ts';
import { MOST, PATTERNS } from './patterns.ts';

/** The source of the weights. */
export type Origin =
  | { readonly kind: 'pattern'; readonly name: string; readonly seed: number }
  | { readonly kind: 'own' }
  | { readonly kind: 'model'; readonly tensor: string; readonly row: number; readonly at: number };

/** A selected weight or byte. */
export type Look = { readonly weight: number } | { readonly byte: number };

export const ready = signal(isReady());
export const format = signal<FormatName>('Q4_K');
export const origin = signal<Origin>({ kind: 'pattern', name: 'normal', seed: 1 });
/** The weights for the largest block; a smaller block uses the first of them. */
export const source = signal<Float32Array>(new Float32Array(MOST));
export const bytes = signal<Uint8Array<ArrayBuffer>>(new Uint8Array(0));
/** Whether the bytes were encoded from the weights, edited, or read from a file. */
export const byHand = signal(false);
export const problem = signal<string | undefined>(undefined);
/** The selection, and the element under the pointer. */
export const chosen = signal<Look>({ weight: 0 });
export const hovered = signal<Look | undefined>(undefined);

export const table = computed<Layout>(() => layout(format.value));
export const facts = computed<Format | undefined>(() =>
  ready.value ? formats().find(({ name }) => name === format.value) : undefined,
);
export const writable = computed(() => facts.value?.canEncode ?? false);
/** The original weights, if any: a read-only format has none. */
export const before = computed(() => (writable.value ? source.value.subarray(0, table.value.weights) : undefined));
export const after = computed(() => (bytes.value.length ? dequantize(bytes.value, format.value) : new Float32Array(0)));
/** The levels of the block's codes, for formats with tables. */
export const levels = computed(() => {
  const probed = bytes.value.length ? probe(table.value, bytes.value) : undefined;
  return probed && dequantize(probed, format.value).map((weight) => table.value.levels?.of(weight) ?? 0);
});
export const damage = computed(() => {
  const [x, y] = [before.value, after.value];
  if (!x || x.length !== y.length || !y.every(Number.isFinite)) return undefined;
  return compareError(x, y);
});
export const reaching = computed(() => reach(table.value));
export const bits = computed<Bit[]>(() => bitsOf(table.value));

/** The inspected element. */
export const look = computed<Look>(() => hovered.value ?? chosen.value);
/** Its bits and weights. */
export const lit = computed(() => {
  const now = look.value;
  const [litBits, litWeights] = [new Set<number>(), new Set<number>()];
  if ('weight' in now) {
    litWeights.add(now.weight);
    bits.value.forEach(({ weights }, bit) => {
      if (weights.includes(now.weight)) litBits.add(bit);
    });
  } else {
    for (let bit = 8 * now.byte; bit < 8 * now.byte + 8; bit += 1) {
      litBits.add(bit);
      for (const weight of bits.value[bit]?.weights ?? []) litWeights.add(weight);
    }
  }
  return { bits: litBits, weights: litWeights };
});

/** Starts when the engine is loaded. */
export function start(): void {
  if (bytes.value.length) return;
  batch(() => {
    ready.value = true;
    source.value = made(origin.value);
    encode();
  });
}

function made(from: Origin): Float32Array {
  if (from.kind !== 'pattern') return source.value;
  return (PATTERNS[from.name] ?? (PATTERNS.normal as (typeof PATTERNS)[string])).make(from.seed);
}

/** Encodes the weights again. Weights that the format cannot represent leave the bytes unchanged. */
function encode(): void {
  if (!before.value) return;
  try {
    const weights = before.value;
    // Formats that need an importance matrix get a uniform one.
    const importance = facts.value?.needsImportance ? new Float32Array(weights.length).fill(1) : undefined;
    bytes.value = quantize(weights, format.value, importance && { importance });
    byHand.value = false;
    problem.value = undefined;
  } catch (error) {
    problem.value = sentence(error);
  }
}

/** Selects another format for the same weights; a selection that it does not have is reset. */
export function chooseFormat(name: FormatName): void {
  batch(() => {
    format.value = name;
    hovered.value = undefined;
    chosen.value = { weight: 0 };
    problem.value = undefined;
    byHand.value = false;
    bytes.value = new Uint8Array(table.value.bytes);
    if (writable.value) encode();
    else if (ready.value) bytes.value = read(table.value);
  });
}

/** A block of a read-only format: small normal codes, and a power of two as scale. */
function read(of: Layout): Uint8Array<ArrayBuffer> {
  const block = new Uint8Array(of.bytes);
  const numbers = generateGaussianWeights(of.weights, 0, 40, 1);
  if (of.name === 'F64') new DataView(block.buffer).setFloat64(0, Math.PI, true);
  for (const quantity of of.quantities) {
    if (quantity.symbol === 'q') put(block, quantity, BigInt(Math.round(numbers[quantity.index ?? 0] ?? 0)));
    if (quantity.symbol === 'd') put(block, quantity, quantity.kind === 'F32' ? 0x3c000000n : 0x2000n);
  }
  return block;
}

/** Shows weights of a pattern, or another sample of the current one. */
export function usePattern(name: string): void {
  const { value } = origin;
  const seed = value.kind === 'pattern' && value.name === name ? value.seed + 1 : 1;
  batch(() => {
    origin.value = { kind: 'pattern', name, seed };
    source.value = made(origin.value);
    encode();
  });
}

/** Sets custom numbers from the first weight on, repeated to fill the block. */
export function useNumbers(text: string): number {
  const numbers = (text.match(/[-+−]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?/gi) ?? [])
    .slice(0, MOST)
    .map((word) => Math.fround(Number(word.replace('−', '-'))))
    .filter(Number.isFinite);
  if (numbers.length > 0) {
    batch(() => {
      origin.value = { kind: 'own' };
      source.value = Float32Array.from({ length: MOST }, (_, i) => numbers[i % numbers.length] ?? 0);
      encode();
    });
  }
  return numbers.length;
}

/** Sets one weight. */
export function setWeight(index: number, value: number): void {
  setWeights([[index, value]]);
}

/** Sets some weights, and encodes once. */
export function setWeights(changes: Iterable<readonly [index: number, value: number]>): void {
  if (!before.value) return;
  const changed = source.value.slice();
  for (const [index, value] of changes) if (Number.isFinite(Math.fround(value))) changed[index] = value;
  batch(() => {
    source.value = changed;
    encode();
  });
}

/** Sets one byte: the decoded weights are shown next to the original ones. */
export function setByte(index: number, value: number): void {
  const changed = bytes.value.slice();
  changed[index] = value;
  batch(() => {
    bytes.value = changed;
    byHand.value = true;
    problem.value = undefined;
  });
}

/** Encodes the original weights again. */
export function encodeAgain(): void {
  batch(encode);
}

/** Rows longer than this are not read for one block. */
const LONGEST_ROW = 1 << 22;

/** The tensors of the open model that have a block of the format in a row, and those already stored in blocks. */
export const tensors = computed(() =>
  (opened.value?.model.tensors ?? []).filter(
    ({ shape: [row = 0] }) => row >= table.value.weights && row <= LONGEST_ROW,
  ),
);

/**
 * Takes the block with weight `at` of a row of a tensor: the stored bytes if it is stored in this format, otherwise the
 * weights to encode.
 */
export async function useTensor(name: string, row: number, at: number): Promise<void> {
  const model = opened.value?.model;
  const tensor = model?.tensors.find((one) => one.name === name);
  if (!model || !tensor) return;
  try {
    const known = formats().find((one) => one.name === tensor.type);
    const length = tensor.shape[0] ?? 0;
    const from = Math.max(0, Math.min(at, length - table.value.weights));
    if (known && known.weights > 1) {
      const rows = tensor.shape.slice(1).reduce((product, n) => product * n, 1);
      const block = Math.floor(at / known.weights);
      const offset = tensor.offset + row * (tensor.bytes / rows) + block * known.bytes;
      const stored = await model.source.read(offset, known.bytes);
      const decoded = dequantize(stored, known.name);
      batch(() => {
        format.value = known.name;
        chosen.value = { weight: 0 };
        hovered.value = undefined;
        origin.value = { kind: 'model', tensor: name, row, at: block * known.weights };
        source.value = Float32Array.from({ length: MOST }, (_, i) => decoded[i % decoded.length] ?? 0);
        bytes.value = stored;
        byHand.value = true;
        problem.value = undefined;
      });
      return;
    }
    const weights = await model.readTensor(name, { rows: [row, row + 1] });
    batch(() => {
      origin.value = { kind: 'model', tensor: name, row, at: from };
      source.value = Float32Array.from({ length: MOST }, (_, i) => weights[(from + i) % weights.length] ?? 0);
      encode();
    });
  } catch (error) {
    problem.value = sentence(error);
  }
}
