/** Reads and writes the numbers of a block. */

import type { Kind, Layout, Piece, Quantity, Values } from './layouts.ts';

/** The joined bits of a quantity. */
export function raw(bytes: Uint8Array, { pieces }: Quantity): bigint {
  let value = 0n;
  for (const { at, width, into } of pieces) {
    for (let i = 0; i < width; i += 1) {
      if (((bytes[(at + i) >> 3] ?? 0) >> ((at + i) & 7)) & 1) value |= 1n << BigInt(into + i);
    }
  }
  return value;
}

/** Writes a number's bits to their positions. */
export function put(bytes: Uint8Array, { pieces }: Quantity, value: bigint): void {
  for (const { at, width, into } of pieces) {
    for (let i = 0; i < width; i += 1) {
      const mask = 1 << ((at + i) & 7);
      const byte = (at + i) >> 3;
      const old = bytes[byte] ?? 0;
      bytes[byte] = (value >> BigInt(into + i)) & 1n ? old | mask : old & ~mask;
    }
  }
}

const E2M1 = [0, 0.5, 1, 1.5, 2, 3, 4, 6];

const VALUE: Record<Kind, (raw: bigint, bits: number) => number> = {
  unsigned: (raw) => Number(raw),
  signed: (raw, bits) => Number(BigInt.asIntN(bits, raw)),
  F16: (raw) => half(Number(raw)),
  F32: (raw) => single(Number(raw)),
  E8M0: (raw) => 2 ** (Number(raw) - 127),
  // All ones reads as zero; only then the top bit matters.
  UE4M3: (raw) => {
    const x = Number(raw);
    const exponent = (x >> 3) & 15;
    if (x === 0x7f) return 0;
    return exponent === 0 ? (x & 7) / 512 : 2 ** (exponent - 7) * (1 + (x & 7) / 8);
  },
  E2M1: (raw) => {
    const magnitude = E2M1[Number(raw & 7n)] ?? 0;
    return raw & 8n && magnitude ? -magnitude : magnitude;
  },
};

/** The value of a quantity's bits. */
export function value(bytes: Uint8Array, quantity: Quantity): number {
  const bits = quantity.pieces.reduce((sum, { width }) => sum + width, 0);
  return VALUE[quantity.kind](raw(bytes, quantity), bits);
}

const view = new DataView(new ArrayBuffer(4));
function single(bits: number): number {
  view.setUint32(0, bits);
  return view.getFloat32(0);
}
function half(bits: number): number {
  const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023];
  const magnitude =
    exponent === 31
      ? fraction
        ? NaN
        : Infinity
      : exponent === 0
        ? fraction * 2 ** -24
        : 2 ** (exponent - 15) * (1 + fraction / 1024);
  return bits >> 15 ? -magnitude : magnitude;
}

/** For each weight the quantities that affect it. */
export function reach(layout: Layout): Quantity[][] {
  const reaching: Quantity[][] = Array.from({ length: layout.weights }, () => []);
  for (const quantity of layout.quantities) for (const i of quantity.weights) reaching[i]?.push(quantity);
  return reaching;
}

/** The meaning of a bit of a block. */
export interface Bit {
  readonly quantity: Quantity;
  readonly piece: Piece;
  /** Its index in the number. */
  readonly place: number;
  /** The weights that change with it. */
  readonly weights: readonly number[];
}

/** Each bit of the block. */
export function bitsOf(layout: Layout): Bit[] {
  const bits: Bit[] = [];
  for (const quantity of layout.quantities) {
    for (const piece of quantity.pieces) {
      for (let i = 0; i < piece.width; i += 1) {
        bits[piece.at + i] = { quantity, piece, place: piece.into + i, weights: piece.weights ?? quantity.weights };
      }
    }
  }
  return bits;
}

/**
 * A block with the same codes, scales of one and positive signs, which decodes to the levels; `undefined` if the format
 * has no table.
 */
export function probe(layout: Layout, bytes: Uint8Array): Uint8Array<ArrayBuffer> | undefined {
  if (!layout.levels) return undefined;
  const probed = Uint8Array.from(bytes);
  for (const quantity of layout.quantities) {
    const set = layout.levels.set[quantity.symbol];
    if (set !== undefined) put(probed, quantity, BigInt(set));
  }
  return probed;
}

/** The values of the formula for one weight. `level` is its table entry, if it has a table. */
export function valuesOf(
  layout: Layout,
  bytes: Uint8Array,
  weight: number,
  reaching: readonly Quantity[],
  level?: number,
): Values {
  const values: Record<string, number> = {};
  for (const quantity of reaching) {
    const one = value(bytes, quantity);
    // The sign of one weight is not stored: it is the product of the others.
    if (quantity.symbol === 'σ') values.σ = (values.σ ?? 1) * (one === 1 ? -1 : 1);
    else values[quantity.symbol] = one;
  }
  if (level !== undefined) values.v = level;
  return { ...values, ...layout.derive?.(values, weight) };
}
