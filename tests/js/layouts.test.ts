/** Compares the table of the bits of a block and the weights they affect with the engine, bit by bit. */

import { dequantize, type FormatName, formats, init, type Format } from 'quantpress';
import { beforeAll, describe, expect, test } from 'vitest';
import { FAMILIES } from '../../www/src/blocks/families.js';
import { type Layout, layout, layoutNames } from '../../www/src/blocks/layouts.js';
import { bitsOf, probe, put, raw, reach, valuesOf } from '../../www/src/blocks/numbers.js';
import { uniform } from './support/random.js';

await init();
const all = formats();

/** Blocks such that every significant bit matters in at least one. */
function blocks({ name, bytes }: Format): Uint8Array<ArrayBuffer>[] {
  const random = uniform(0x5eed + bytes);
  const block = (): Uint8Array<ArrayBuffer> => Uint8Array.from({ length: bytes }, () => random() * 256);
  return [...Array.from({ length: 32 }, block), ...edges(name, block)];
}

/** Values that random bytes rarely have. */
function edges(name: FormatName, block: () => Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer>[] {
  const bits = (value: bigint) => new Uint8Array(new BigUint64Array([value]).buffer);
  // A double or an integer between two floats, or next to the middle: where the last bits decide the rounding.
  if (name === 'F64') return [0x3ff0000010000000n, 0x3ff0000030000000n, 0x3ff000000fffffffn].map(bits);
  if (name === 'I64')
    return ties(8)
      .flatMap((tie) => [tie, tie + 1n, tie - 1n])
      .map(bits);
  if (name === 'I32') return ties(4).map((tie) => bits(tie).slice(0, 4));
  // The one pattern of a UE4M3 scale in which its top bit matters.
  if (name === 'NVFP4') return Array.from({ length: 16 }, () => block().fill(0x7f, 0, 4));
  // Every byte of five digits of base 3, under a scale of one.
  if (name === 'TQ1_0') return Array.from({ length: 256 }, (_, b) => new Uint8Array(54).fill(b, 0, 52).fill(0x3c, 53));
  // Every point of a grid.
  const points = layout(name).quantities.filter(({ symbol }) => symbol === 'p');
  const width = points[0]?.pieces.reduce((sum, piece) => sum + piece.width, 0) ?? 0;
  return Array.from({ length: width && 2 ** width }, (_, point) => {
    const made = block();
    for (const quantity of points) put(made, quantity, BigInt(point));
    return made;
  });
}

/**
 * For each bit length of an integer beyond the 24 bits of a float, the midpoint between two floats, in both roundings.
 */
function ties(bytes: number): bigint[] {
  const made = [];
  for (let length = 25n; length < 8n * BigInt(bytes); length += 1n) {
    const unit = 1n << (length - 24n);
    for (const odd of [0n, 1n]) made.push((1n << (length - 1n)) + odd * unit + unit / 2n);
  }
  return made;
}

/** For each bit, the weights that changed with it in any block. */
function influence(format: Format): Set<number>[] {
  const { name, bytes, weights } = format;
  const changed = Array.from({ length: 8 * bytes }, () => new Set<number>());
  for (const block of blocks(format)) {
    const flipped = new Uint8Array(8 * bytes * bytes);
    for (let bit = 0; bit < 8 * bytes; bit += 1) {
      flipped.set(block, bit * bytes);
      flipped[bit * bytes + (bit >> 3)]! ^= 1 << (bit & 7);
    }
    const before = new Uint32Array(dequantize(block, name).buffer);
    const after = new Uint32Array(dequantize(flipped, name).buffer);
    for (let bit = 0; bit < 8 * bytes; bit += 1) {
      for (let i = 0; i < weights; i += 1) if (after[bit * weights + i] !== before[i]) changed[bit]!.add(i);
    }
  }
  return changed;
}

/** As text, so that a failure names the bit and the weights. */
const listed = (name: FormatName, sets: readonly Iterable<number>[]): string[] =>
  sets.map((set, bit) => `${name} byte ${bit >> 3} bit ${bit & 7}: ${[...set].sort((a, b) => a - b).join(' ')}`);

test('every format has a layout and a family', () => {
  const names = all.map(({ name }) => name).sort();
  expect([...layoutNames].sort()).toEqual(names);
  expect(FAMILIES.flatMap((family) => family.names).sort()).toEqual(names);
});

describe.each(all)('$name', (format) => {
  const { name } = format;
  let table: Layout;
  beforeAll(() => {
    table = layout(name);
  });

  test('fields cover the block, and numbers cover its bits exactly once', () => {
    expect(table.fields.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(format.bytes);
    expect(table.weights).toBe(format.weights);
    const times = new Uint8Array(8 * format.bytes);
    for (const { pieces } of table.quantities) {
      for (const { at, width } of pieces) for (let i = at; i < at + width; i += 1) times[i]! += 1;
    }
    expect([...new Set(times)]).toEqual([1]);
    expect(times.length).toBe(8 * format.bytes);
  });

  test('flipping a bit changes exactly the weights in the table', () => {
    const said = bitsOf(table).map(({ weights }) => weights);
    expect(listed(name, influence(format))).toEqual(listed(name, said));
  });

  test('the displayed formula gives the decoded weight', () => {
    const reaching = reach(table);
    for (const block of blocks(format).slice(0, 24)) {
      const decoded = dequantize(block, name);
      const probed = probe(table, block);
      const levels = probed && dequantize(probed, name);
      const computed = decoded.map((_, i) => {
        const level = levels && table.levels?.of(levels[i]!);
        return table.weigh(valuesOf(table, block, i, reaching[i]!, level));
      });
      // -0 and 0 are the same weight: a formula need not distinguish them.
      const plain = (weights: Float32Array) => [...weights].map((weight) => weight + 0);
      expect(plain(computed)).toEqual(plain(decoded));
    }
  });

  test('a number is read back as it was written', () => {
    const random = uniform(7);
    const block = new Uint8Array(format.bytes);
    const numbers = table.quantities.map((quantity) => {
      const width = quantity.pieces.reduce((sum, piece) => sum + piece.width, 0);
      const number = BigInt.asUintN(width, BigInt(Math.floor(random() * 2 ** 53)));
      put(block, quantity, number);
      return number;
    });
    expect(table.quantities.map((quantity) => raw(block, quantity))).toEqual(numbers);
  });
});
