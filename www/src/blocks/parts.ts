/** The building blocks of the table in [layouts](./layouts.ts): bits, numbers, and the ways formats arrange them. */

import type { FormatName } from 'quantpress';

/** The role of a bit: its colour and its pattern. */
export type Role =
  | 'scale'
  | 'minimum'
  | 'subscale'
  | 'subminimum'
  | 'code'
  | 'high'
  | 'point'
  | 'sign'
  | 'shift'
  | 'unused';

/** The encoding of a number's bits. */
export type Kind = 'unsigned' | 'signed' | 'F16' | 'F32' | 'E8M0' | 'UE4M3' | 'E2M1';

/**
 * Adjacent bits: `width` of them from bit `at` of the block (bit 0 is the lowest of byte 0) are bits `into`.. of a
 * number.
 */
export interface Piece {
  readonly at: number;
  readonly width: number;
  readonly into: number;
  readonly role: Role;
  /** The weights that these bits affect, if they are fewer than the number's. */
  readonly weights?: readonly number[];
}

/** A number stored in a block. */
export interface Quantity {
  /** Its symbol in the formula. */
  readonly symbol: string;
  /** Its index among several with the same symbol. */
  readonly index?: number;
  readonly kind: Kind;
  readonly pieces: readonly Piece[];
  /** The weights that it affects. */
  readonly weights: readonly number[];
}

/** Bytes that form one field of the specification. */
export interface Field {
  readonly name: string;
  readonly offset: number;
  readonly bytes: number;
  /** Such as `F16` or `4-bit`. */
  readonly type: string;
  readonly meaning: string;
}

/** The values that affect one weight, by symbol; the product of the signs as +1 or -1. */
export type Values = Readonly<Record<string, number>>;

/** A format's block. */
export interface Layout {
  readonly name: FormatName;
  readonly weights: number;
  readonly bytes: number;
  /** The displayed formula, symbols in braces, powers in ⟨⟩. `{v}` is a level from a table, `{σ}` a sign. */
  readonly formula: string;
  /**
   * The formula as the engine computes it, rounding after each step. `level` returns the weight's entry in the table.
   */
  readonly weigh: (n: Values) => number;
  readonly fields: readonly Field[];
  /** The name of a role in this format, if it differs. */
  readonly roles?: Readonly<Partial<Record<Role, string>>>;
  readonly quantities: readonly Quantity[];
  /**
   * For formats with tables: the values to set so that a decoded block shows the levels, and the factor between weight
   * and level.
   */
  readonly levels?: { readonly set: Readonly<Record<string, number>>; readonly of: (weight: number) => number };
  /** Values derived from others by position, such as a digit of a byte. */
  readonly derive?: (n: Values, weight: number) => Values;
}

/** The table's entry for a format; the rest is derived. */
export type Spec = Omit<Layout, 'name' | 'weights' | 'bytes' | 'fields'> & {
  readonly fields: readonly (readonly [name: string, bytes: number, type: string, meaning: string])[];
};

export const f = Math.fround;
export const count = <T>(n: number, of: (i: number) => T): T[] => Array.from({ length: n }, (_, i) => of(i));
/** Weights `from`, `from + step` .. `n` of them. */
export const run = (from: number, n: number, step = 1): number[] => count(n, (i) => from + i * step);
export const piece = (byte: number, bit: number, width: number, role: Role, into = 0): Piece => ({
  at: 8 * byte + bit,
  width,
  into,
  role,
});

/** A number in its own bytes. */
export function whole(symbol: string, kind: Kind, byte: number, bits: number, role: Role, weights: number[]): Quantity {
  return { symbol, kind, pieces: [piece(byte, 0, bits, role)], weights };
}
/** One of several numbers, in any pieces. */
export function part(
  symbol: string,
  index: number,
  weights: number[],
  pieces: Piece[],
  kind: Kind = 'unsigned',
): Quantity {
  return { symbol, index, kind, pieces, weights };
}
export const d16 = (byte: number, weights: number): Quantity => whole('d', 'F16', byte, 16, 'scale', run(0, weights));
/** The code of weight `i`. */
export const code = (i: number, pieces: Piece[], kind: Kind = 'unsigned'): Quantity => part('q', i, [i], pieces, kind);

/** 4-bit codes of 32 weights in 16 bytes: low nibbles are the first half. */
export const nibble = (byte: number, i: number, half = 16): Piece =>
  piece(byte + (i % half), i % (2 * half) < half ? 0 : 4, 4, 'code');
/** 2-bit codes: byte `32 h + l` holds weights `128 h + l + 0, 32, 64, 96`, the first lowest. */
export const twoBits = (byte: number, i: number, role: Role, into = 0): Piece =>
  piece(byte + 32 * (i >> 7) + (i & 31), 2 * ((i >> 5) & 3), 2, role, into);
/** 4-bit codes of a super-block: 32 bytes hold 32 weights low and the next 32 high. */
export const superNibble = (byte: number, i: number): Piece =>
  piece(byte + 32 * (i >> 6) + (i & 31), 4 * ((i >> 5) & 1), 4, 'code');

/** Six-bit scales and minimums of Q4_K and Q5_K, in twelve bytes. */
export const sixBits = (byte: number): Quantity[] =>
  count(8, (j) => {
    const weights = run(32 * j, 32);
    const [s, m]: [Piece[], Piece[]] =
      j < 4
        ? [[piece(byte + j, 0, 6, 'subscale')], [piece(byte + j + 4, 0, 6, 'subminimum')]]
        : [
            [piece(byte + j + 4, 0, 4, 'subscale'), piece(byte + j - 4, 6, 2, 'subscale', 4)],
            [piece(byte + j + 4, 4, 4, 'subminimum'), piece(byte + j, 6, 2, 'subminimum', 4)],
          ];
    return [part('s', j, weights, s), part('m', j, weights, m)];
  }).flat();

/** Seven stored signs for eight weights; the eighth makes the number of negative ones even. */
export const evenSigns = (at: number, first: number): Quantity[] =>
  count(7, (b) => part('σ', first + b, [first + b, first + 7], [{ at: at + b, width: 1, into: 0, role: 'sign' }]));
/** A sign for each weight. */
export const sign = (byte: number, i: number): Quantity =>
  part('σ', i, [i], [piece(byte + (i >> 3), i & 7, 1, 'sign')]);

/**
 * The index of a grid point of eight levels whose lowest bit never changes the last levels: the grids of 256 and 512
 * points are in ascending order, and no two neighbours that differ in that bit alone differ there.
 */
export const pairedPoint = (k: number, byte: number, bits: number, alike: number): Quantity =>
  part('p', k, run(8 * k, 8), [
    { ...piece(byte, 0, 1, 'point'), weights: run(8 * k, 8 - alike) },
    piece(byte, 1, bits - 1, 'point', 1),
  ]);

const float = (sign: number, exponent: number, fraction: number): Quantity[] => [
  { symbol: 's', kind: 'unsigned', pieces: [{ at: sign, width: 1, into: 0, role: 'sign' }], weights: [0] },
  { symbol: 'e', kind: 'unsigned', pieces: [{ at: fraction, width: exponent, into: 0, role: 'scale' }], weights: [0] },
  { symbol: 'm', kind: 'unsigned', pieces: [{ at: 0, width: fraction, into: 0, role: 'code' }], weights: [0] },
];
export function floatOf(type: string, bytes: number, exponent: number, fraction: number): Spec {
  const bias = 2 ** (exponent - 1) - 1;
  return {
    formula: `(−1)⟨{s}⟩ × 2⟨{e} − ${bias}⟩ × (1 + {m} ÷ 2⟨${fraction}⟩)`,
    roles: { scale: 'exponent', code: 'fraction' },
    weigh: ({ s = 0, e = 0, m = 0 }) => {
      const magnitude =
        e === 2 * bias + 1
          ? m === 0
            ? Infinity
            : NaN
          : e === 0
            ? 2 ** (1 - bias) * (m / 2 ** fraction)
            : 2 ** (e - bias) * (1 + m / 2 ** fraction);
      return f(s === 1 ? -magnitude : magnitude);
    },
    fields: [
      ['w', bytes, type, 'sign, exponent and fraction of one weight; exponent 0 stands for the smallest with no 1 +'],
    ],
    quantities: float(8 * bytes - 1, exponent, fraction),
  };
}
export function integerOf(type: string, bytes: number): Spec {
  return {
    formula: '{q}',
    roles: { code: 'integer' },
    weigh: ({ q = 0 }) => f(q),
    fields: [['q', bytes, type, 'two’s complement, lowest byte first']],
    quantities: [whole('q', 'signed', 0, 8 * bytes, 'code', [0])],
  };
}

/**
 * Creates a layout from a table entry: offsets follow from sizes, and the number of weights from the affected weights.
 */
export function laidOut(name: FormatName, spec: Spec): Layout {
  let bytes = 0;
  const fields = spec.fields.map(([field, size, type, meaning]) => {
    const offset = bytes;
    bytes += size;
    return { name: field, offset, bytes: size, type, meaning };
  });
  const weights = 1 + spec.quantities.reduce((most, quantity) => Math.max(most, ...quantity.weights), 0);
  return { ...spec, name, weights, bytes, fields };
}
