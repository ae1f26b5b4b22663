/**
 * The position and meaning of every bit of every block: the table from which the block view is drawn.
 *
 * A block is numbers (`d`, sixteen `s`, 256 `q` ...), a number consists of bit ranges that need not be adjacent, and a
 * weight is a formula over the numbers that affect it. tests/js/layouts.test.ts compares the table with the engine: it
 * flips each bit of each format, checks which weights change, and computes each weight by the formula given here.
 *
 * All formats are in one file, so that new ones can follow their neighbours. The building blocks are in parts.ts.
 *
 * Source: the block structures and `dequantize_row_*` of ggml (see NOTICE), as documented in `src/format/*.rs`.
 */

import type { FormatName } from 'quantpress';
import {
  code,
  count,
  d16,
  evenSigns,
  f,
  floatOf,
  integerOf,
  laidOut,
  nibble,
  pairedPoint,
  part,
  piece,
  run,
  sign,
  sixBits,
  superNibble,
  twoBits,
  whole,
  type Layout,
  type Spec,
} from './parts.js';

export type { Field, Kind, Layout, Piece, Quantity, Role, Values } from './parts.js';

const D: Spec['fields'][number] = ['d', 2, 'F16', 'scale of the whole block'];
const SUPER = 256;
const CODES4 = '4-bit codes: low nibbles are weights 0–15, high nibbles weights 16–31';
const E2M1_LEVELS = 'E2M1 floats: 0, ½, 1, 1½, 2, 3, 4, 6 and their negatives';

/** Q2_K, Q4_K and Q5_K: quantized scales and minimums. */
const K_AFFINE: Pick<Spec, 'formula' | 'weigh'> = {
  formula: '{d} × {s} × {q} − {dmin} × {m}',
  weigh: ({ d = 0, s = 0, q = 0, dmin = 0, m = 0 }) => f(f(f(d * s) * q) - f(dmin * m)),
};
/** The common start of Q4_K and Q5_K. */
const SIX_BITS: Spec['fields'] = [
  ['d', 2, 'F16', 'step of the scales'],
  ['dmin', 2, 'F16', 'step of the minimums'],
  ['scales', 12, '6-bit', 'for each 32 weights a scale and a minimum of six bits, the last four of them in two pieces'],
];
/** The IQ2 formats: grid points of eight levels, with signs. */
const IQ2: Pick<Spec, 'formula' | 'weigh' | 'levels'> = {
  formula: '{d} × ({s} + ½) ÷ 4 × {σ}{v}',
  weigh: ({ d = 0, s = 0, v = 0, σ = 1 }) => f(f(f(f(d * (s + 0.5)) * 0.25) * v) * σ),
  levels: { set: { d: 0x3c00, s: 0, σ: 0 }, of: (w) => 8 * w },
};

const SPECS: Record<FormatName, Spec> = {
  F32: floatOf('F32', 4, 8, 23),
  F16: floatOf('F16', 2, 5, 10),
  BF16: floatOf('BF16', 2, 8, 7),
  F64: floatOf('F64', 8, 11, 52),
  I8: integerOf('i8', 1),
  I16: integerOf('i16', 2),
  I32: integerOf('i32', 4),
  I64: integerOf('i64', 8),
  Q4_0: {
    formula: '{d} × ({q} − 8)',
    weigh: ({ d = 0, q = 0 }) => f(d * (q - 8)),
    fields: [D, ['qs', 16, '4-bit', CODES4]],
    quantities: [d16(0, 32), ...count(32, (i) => code(i, [nibble(2, i)]))],
  },
  Q4_1: {
    formula: '{d} × {q} + {m}',
    weigh: ({ d = 0, q = 0, m = 0 }) => f(f(d * q) + m),
    fields: [D, ['m', 2, 'F16', 'the smallest weight'], ['qs', 16, '4-bit', CODES4]],
    quantities: [
      d16(0, 32),
      whole('m', 'F16', 2, 16, 'minimum', run(0, 32)),
      ...count(32, (i) => code(i, [nibble(4, i)])),
    ],
  },
  Q5_0: {
    formula: '{d} × ({q} − 16)',
    weigh: ({ d = 0, q = 0 }) => f(d * (q - 16)),
    fields: [
      D,
      ['qh', 4, '1-bit', 'the fifth bit of each code'],
      ['qs', 16, '4-bit', `lower four bits: ${CODES4.slice(13)}`],
    ],
    quantities: [d16(0, 32), ...count(32, (i) => code(i, [nibble(6, i), piece(2 + (i >> 3), i & 7, 1, 'high', 4)]))],
  },
  Q5_1: {
    formula: '{d} × {q} + {m}',
    weigh: ({ d = 0, q = 0, m = 0 }) => f(f(d * q) + m),
    fields: [
      D,
      ['m', 2, 'F16', 'the smallest weight'],
      ['qh', 4, '1-bit', 'the fifth bit of each code'],
      ['qs', 16, '4-bit', `lower four bits: ${CODES4.slice(13)}`],
    ],
    quantities: [
      d16(0, 32),
      whole('m', 'F16', 2, 16, 'minimum', run(0, 32)),
      ...count(32, (i) => code(i, [nibble(8, i), piece(4 + (i >> 3), i & 7, 1, 'high', 4)])),
    ],
  },
  Q8_0: {
    formula: '{d} × {q}',
    weigh: ({ d = 0, q = 0 }) => f(d * q),
    fields: [D, ['qs', 32, 'i8', 'one signed code for each weight']],
    quantities: [d16(0, 32), ...count(32, (i) => code(i, [piece(2 + i, 0, 8, 'code')], 'signed'))],
  },
  Q8_1: {
    formula: '{d} × {q}',
    weigh: ({ d = 0, q = 0 }) => f(d * q),
    fields: [
      D,
      ['s', 2, 'F16', 'scale times the sum of the codes: for products, not for decoding'],
      ['qs', 32, 'i8', 'one signed code for each weight'],
    ],
    quantities: [
      d16(0, 32),
      whole('s', 'F16', 2, 16, 'unused', []),
      ...count(32, (i) => code(i, [piece(4 + i, 0, 8, 'code')], 'signed')),
    ],
  },
  Q2_K: {
    ...K_AFFINE,
    fields: [
      ['scales', 16, '2 × 4-bit', 'for each 16 weights a scale (low nibble) and a minimum (high nibble)'],
      ['qs', 64, '2-bit', 'codes: byte l of each 32 holds weights l, l + 32, l + 64, l + 96, the first lowest'],
      ['d', 2, 'F16', 'step of the scales'],
      ['dmin', 2, 'F16', 'step of the minimums'],
    ],
    quantities: [
      ...count(16, (j) => [
        part('s', j, run(16 * j, 16), [piece(j, 0, 4, 'subscale')]),
        part('m', j, run(16 * j, 16), [piece(j, 4, 4, 'subminimum')]),
      ]).flat(),
      ...count(SUPER, (i) => code(i, [twoBits(16, i, 'code')])),
      d16(80, SUPER),
      whole('dmin', 'F16', 82, 16, 'minimum', run(0, SUPER)),
    ],
  },
  Q3_K: {
    formula: '{d} × ({s} − 32) × ({q} − 4)',
    weigh: ({ d = 0, s = 0, q = 0 }) => f(f(d * (s - 32)) * (q - 4)),
    fields: [
      ['hmask', 32, '1-bit', 'the third bit of each code: bit j of byte l is that of weight 32 j + l'],
      [
        'qs',
        64,
        '2-bit',
        'lower two bits: byte l of each 32 holds weights l, l + 32, l + 64, l + 96, the first lowest',
      ],
      ['scales', 12, '6-bit', 'sixteen scales of 16 weights each: eight bytes of lower four bits, four of upper two'],
      ['d', 2, 'F16', 'step of the scales'],
    ],
    quantities: [
      ...count(SUPER, (i) => code(i, [twoBits(32, i, 'code'), piece(i & 31, i >> 5, 1, 'high', 2)])),
      ...count(16, (j) =>
        part('s', j, run(16 * j, 16), [
          piece(96 + (j % 8), 4 * (j >> 3), 4, 'subscale'),
          piece(104 + (j % 4), 2 * (j >> 2), 2, 'subscale', 4),
        ]),
      ),
      d16(108, SUPER),
    ],
  },
  Q4_K: {
    ...K_AFFINE,
    fields: [
      ...SIX_BITS,
      ['qs', 128, '4-bit', 'codes: 32 bytes hold 32 weights in low nibbles and the next 32 in high ones'],
    ],
    quantities: [
      d16(0, SUPER),
      whole('dmin', 'F16', 2, 16, 'minimum', run(0, SUPER)),
      ...sixBits(4),
      ...count(SUPER, (i) => code(i, [superNibble(16, i)])),
    ],
  },
  Q5_K: {
    ...K_AFFINE,
    fields: [
      ...SIX_BITS,
      ['qh', 32, '1-bit', 'the fifth bit of each code: bit j of byte l is that of weight 32 j + l'],
      ['qs', 128, '4-bit', 'lower four bits: 32 bytes hold 32 weights in low nibbles and the next 32 in high ones'],
    ],
    quantities: [
      d16(0, SUPER),
      whole('dmin', 'F16', 2, 16, 'minimum', run(0, SUPER)),
      ...sixBits(4),
      ...count(SUPER, (i) => code(i, [superNibble(48, i), piece(16 + (i & 31), i >> 5, 1, 'high', 4)])),
    ],
  },
  Q6_K: {
    formula: '{d} × {s} × ({q} − 32)',
    weigh: ({ d = 0, s = 0, q = 0 }) => f(f(d * s) * (q - 32)),
    fields: [
      ['ql', 128, '4-bit', 'lower four bits: 64 bytes hold 64 weights in low nibbles and the next 64 in high ones'],
      [
        'qh',
        64,
        '2-bit',
        'upper two bits: byte l of each 32 holds weights l, l + 32, l + 64, l + 96, the first lowest',
      ],
      ['scales', 16, 'i8', 'one signed scale for each 16 weights'],
      ['d', 2, 'F16', 'step of the scales'],
    ],
    quantities: [
      ...count(SUPER, (i) =>
        code(i, [piece(64 * (i >> 7) + (i & 63), 4 * ((i >> 6) & 1), 4, 'code'), twoBits(128, i, 'high', 4)]),
      ),
      ...count(16, (j) => part('s', j, run(16 * j, 16), [piece(192 + j, 0, 8, 'subscale')], 'signed')),
      d16(208, SUPER),
    ],
  },
  Q8_K: {
    formula: '{d} × {q}',
    weigh: ({ d = 0, q = 0 }) => f(d * q),
    fields: [
      ['d', 4, 'F32', 'scale of the whole block'],
      ['qs', 256, 'i8', 'one signed code for each weight'],
      ['bsums', 32, 'i16', 'sums of sixteen codes each: for products, not for decoding'],
    ],
    quantities: [
      whole('d', 'F32', 0, 32, 'scale', run(0, SUPER)),
      ...count(SUPER, (i) => code(i, [piece(4 + i, 0, 8, 'code')], 'signed')),
      ...count(16, (j) => part('b', j, [], [piece(260 + 2 * j, 0, 16, 'unused')], 'signed')),
    ],
  },
  IQ2_XXS: {
    ...IQ2,
    fields: [
      D,
      [
        'subs',
        64,
        'u8, u32',
        'for each 32 weights: four bytes of points on a grid of 256 (8 weights each), then a word of four times seven signs and a 4-bit scale',
      ],
    ],
    quantities: [
      d16(0, SUPER),
      ...count(8, (j) => [
        ...count(4, (k) => pairedPoint(4 * j + k, 2 + 8 * j + k, 8, 2)),
        ...count(4, (k) => evenSigns(8 * (6 + 8 * j) + 7 * k, 32 * j + 8 * k)).flat(),
        part('s', j, run(32 * j, 32), [piece(6 + 8 * j, 28, 4, 'subscale')]),
      ]).flat(),
    ],
  },
  IQ2_XS: {
    ...IQ2,
    fields: [
      D,
      ['qs', 64, '9 + 7 bits', 'for each 8 weights a point on a grid of 512 and seven signs; the eighth follows'],
      ['scales', 8, '4-bit', 'one scale for each 16 weights'],
    ],
    quantities: [
      d16(0, SUPER),
      ...count(32, (k) => [pairedPoint(k, 2 + 2 * k, 9, 1), ...evenSigns(8 * (2 + 2 * k) + 9, 8 * k)]).flat(),
      ...count(16, (j) => part('s', j, run(16 * j, 16), [piece(66 + (j >> 1), 4 * (j & 1), 4, 'subscale')])),
    ],
  },
  IQ2_S: {
    ...IQ2,
    fields: [
      D,
      ['qs', 32, 'u8', 'for each 8 weights the low 8 bits of a point on a grid of 1024'],
      ['signs', 32, '1-bit', 'one sign for each weight'],
      ['qh', 8, '2-bit', 'the high 2 bits of the points'],
      ['scales', 8, '4-bit', 'one scale for each 16 weights'],
    ],
    quantities: [
      d16(0, SUPER),
      ...count(32, (k) =>
        part('p', k, run(8 * k, 8), [piece(2 + k, 0, 8, 'point'), piece(66 + (k >> 2), 2 * (k & 3), 2, 'high', 8)]),
      ),
      ...count(SUPER, (i) => sign(34, i)),
      ...count(16, (j) => part('s', j, run(16 * j, 16), [piece(74 + (j >> 1), 4 * (j & 1), 4, 'subscale')])),
    ],
  },
  IQ3_XXS: {
    formula: '{d} × ({s} + ½) ÷ 2 × {σ}{v}',
    weigh: ({ d = 0, s = 0, v = 0, σ = 1 }) => f(f(f(f(d * (s + 0.5)) * 0.5) * v) * σ),
    fields: [
      D,
      ['points', 64, 'u8', 'for each 4 weights a point on a grid of 256'],
      ['signs', 32, 'u32', 'for each 32 weights: four times seven signs, the eighth follows, and a 4-bit scale'],
    ],
    quantities: [
      d16(0, SUPER),
      ...count(64, (k) => part('p', k, run(4 * k, 4), [piece(2 + k, 0, 8, 'point')])),
      ...count(8, (j) => [
        ...count(4, (k) => evenSigns(8 * (66 + 4 * j) + 7 * k, 32 * j + 8 * k)).flat(),
        part('s', j, run(32 * j, 32), [piece(66 + 4 * j, 28, 4, 'subscale')]),
      ]).flat(),
    ],
    levels: { set: { d: 0x3c00, s: 0, σ: 0 }, of: (w) => 4 * w },
  },
  IQ3_S: {
    formula: '{d} × (2 × {s} + 1) × {σ}{v}',
    weigh: ({ d = 0, s = 0, v = 0, σ = 1 }) => f(f(f(d * (2 * s + 1)) * v) * σ),
    fields: [
      D,
      ['qs', 64, 'u8', 'for each 4 weights the low 8 bits of a point on a grid of 512'],
      ['qh', 8, '1-bit', 'the high bit of the points'],
      ['signs', 32, '1-bit', 'one sign for each weight'],
      ['scales', 4, '4-bit', 'one scale for each 32 weights'],
    ],
    quantities: [
      d16(0, SUPER),
      ...count(64, (k) =>
        part('p', k, run(4 * k, 4), [piece(2 + k, 0, 8, 'point'), piece(66 + (k >> 3), k & 7, 1, 'high', 8)]),
      ),
      ...count(SUPER, (i) => sign(74, i)),
      ...count(8, (j) => part('s', j, run(32 * j, 32), [piece(106 + (j >> 1), 4 * (j & 1), 4, 'subscale')])),
    ],
    levels: { set: { d: 0x3c00, s: 0, σ: 0 }, of: (w) => w },
  },
  IQ1_S: {
    formula: '{d} × (2 × {s} + 1) × ({v} + {δ})',
    weigh: ({ d = 0, s = 0, v = 0, δ = 0 }) => f(f(d * (2 * s + 1)) * f(v + δ)),
    derive: ({ h = 0 }) => ({ δ: h === 1 ? -0.125 : 0.125 }),
    fields: [
      D,
      ['qs', 32, 'u8', 'for each 8 weights the low 8 bits of a point on a grid of 2048'],
      [
        'qh',
        16,
        'u16',
        'for each 32 weights: the high 3 bits of four points, a 3-bit scale, and a bit h that makes the shift δ −⅛',
      ],
    ],
    quantities: [
      d16(0, SUPER),
      ...count(32, (k) =>
        part('p', k, run(8 * k, 8), [piece(2 + k, 0, 8, 'point'), piece(34 + 2 * (k >> 2), 3 * (k & 3), 3, 'high', 8)]),
      ),
      ...count(8, (j) => [
        part('s', j, run(32 * j, 32), [piece(34 + 2 * j, 12, 3, 'subscale')]),
        part('h', j, run(32 * j, 32), [piece(34 + 2 * j, 15, 1, 'shift')]),
      ]).flat(),
    ],
    levels: { set: { d: 0x3c00, s: 0, h: 0 }, of: (w) => w - 0.125 },
  },
  IQ1_M: {
    formula: '{d} × (2 × {s} + 1) × ({v} + {δ})',
    weigh: ({ d = 0, s = 0, v = 0, δ = 0 }) => f(f(d * (2 * s + 1)) * f(v + δ)),
    derive: ({ h = 0 }) => ({ δ: h === 1 ? -0.125 : 0.125 }),
    fields: [
      ['qs', 32, 'u8', 'for each 8 weights the low 8 bits of a point on a grid of 2048'],
      [
        'qh',
        16,
        '3 + 1 bits',
        'for each 8 weights the high 3 bits of the point, and a bit h that makes the shift δ −⅛',
      ],
      [
        'scales',
        8,
        'u16',
        'four times: four 3-bit scales of 16 weights each, and a nibble of d, the F16 scale of the block',
      ],
    ],
    quantities: [
      ...count(32, (k) => [
        part('p', k, run(8 * k, 8), [piece(k, 0, 8, 'point'), piece(32 + (k >> 1), 4 * (k & 1), 3, 'high', 8)]),
        part('h', k, run(8 * k, 8), [piece(32 + (k >> 1), 4 * (k & 1) + 3, 1, 'shift')]),
      ]).flat(),
      ...count(16, (j) => part('s', j, run(16 * j, 16), [piece(48 + 2 * (j >> 2), 3 * (j & 3), 3, 'subscale')])),
      {
        symbol: 'd',
        kind: 'F16',
        pieces: count(4, (k) => piece(48 + 2 * k, 12, 4, 'scale', 4 * k)),
        weights: run(0, SUPER),
      },
    ],
    levels: { set: { d: 0x3c00, s: 0, h: 0 }, of: (w) => w - 0.125 },
  },
  IQ4_NL: {
    formula: '{d} × {v}',
    weigh: ({ d = 0, v = 0 }) => f(d * v),
    fields: [D, ['qs', 16, '4-bit', `${CODES4}; a code picks one of sixteen levels, denser near zero`]],
    quantities: [d16(0, 32), ...count(32, (i) => code(i, [nibble(2, i)]))],
    levels: { set: { d: 0x3c00 }, of: (w) => w },
  },
  IQ4_XS: {
    formula: '{d} × ({s} − 32) × {v}',
    weigh: ({ d = 0, s = 0, v = 0 }) => f(f(d * (s - 32)) * v),
    fields: [
      D,
      ['scales_h', 2, '2-bit', 'the two high bits of the eight scales'],
      ['scales_l', 4, '4-bit', 'the four low bits of the eight scales, of 32 weights each'],
      [
        'qs',
        128,
        '4-bit',
        'for each 32 weights 16 bytes: low nibbles are the first 16; a code picks one of sixteen levels',
      ],
    ],
    quantities: [
      d16(0, SUPER),
      ...count(8, (j) =>
        part('s', j, run(32 * j, 32), [
          piece(4 + (j >> 1), 4 * (j & 1), 4, 'subscale'),
          piece(2, 2 * j, 2, 'subscale', 4),
        ]),
      ),
      ...count(SUPER, (i) => code(i, [nibble(8 + 16 * (i >> 5), i)])),
    ],
    levels: { set: { d: 0x3c00, s: 33 }, of: (w) => w },
  },
  TQ1_0: {
    formula: '{d} × ({t} − 1)',
    weigh: ({ d = 0, t = 0 }) => f((t - 1) * d),
    // Five digits of base 3 as a fraction of 256: multiplying moves the wanted digit above the byte.
    derive: ({ b = 0 }, i) => {
      const place = i < 160 ? i >> 5 : i < 240 ? (i - 160) >> 4 : (i - 240) >> 2;
      return { t: (((b * 3 ** place) & 255) * 3) >> 8 };
    },
    fields: [
      [
        'qs',
        48,
        '5 of base 3',
        'a byte b holds five digits t of base 3: of weights 32 apart, then of weights 16 apart',
      ],
      ['qh', 4, '4 of base 3', 'a byte holds four digits: of weights 4 apart'],
      ['d', 2, 'F16', 'scale of the whole block'],
    ],
    quantities: [
      ...count(52, (m) => {
        const weights = m < 32 ? run(m, 5, 32) : m < 48 ? run(160 + m - 32, 5, 16) : run(240 + m - 48, 4, 4);
        return part('b', m, weights, [piece(m, 0, 8, 'code')]);
      }),
      d16(52, SUPER),
    ],
  },
  TQ2_0: {
    formula: '{d} × ({q} − 1)',
    weigh: ({ d = 0, q = 0 }) => f((q - 1) * d),
    fields: [
      ['qs', 64, '2-bit', 'codes: byte l of each 32 holds weights l, l + 32, l + 64, l + 96, the first lowest'],
      ['d', 2, 'F16', 'scale of the whole block'],
    ],
    quantities: [...count(SUPER, (i) => code(i, [twoBits(0, i, 'code')])), d16(64, SUPER)],
  },
  MXFP4: {
    formula: '{e} × {q}',
    weigh: ({ e = 0, q = 0 }) => f(2 * q * f(e / 2)),
    fields: [
      ['e', 1, 'E8M0', 'scale of the whole block, a power of two: 2^(byte − 127)'],
      ['qs', 16, 'E2M1', `${CODES4}; ${E2M1_LEVELS}`],
    ],
    quantities: [whole('e', 'E8M0', 0, 8, 'scale', run(0, 32)), ...count(32, (i) => code(i, [nibble(1, i)], 'E2M1'))],
  },
  NVFP4: {
    formula: '{s} × {q}',
    weigh: ({ s = 0, q = 0 }) => f(2 * q * f(s / 2)),
    fields: [
      [
        'd',
        4,
        'UE4M3',
        'one scale for each 16 weights: a float of 4 exponent and 3 fraction bits; its top bit is not used',
      ],
      ['qs', 32, 'E2M1', `for each 16 weights 8 bytes: low nibbles are the first 8; ${E2M1_LEVELS}`],
    ],
    quantities: [
      ...count(4, (j) => part('s', j, run(16 * j, 16), [piece(j, 0, 8, 'scale')], 'UE4M3')),
      ...count(64, (i) => code(i, [nibble(4 + 8 * (i >> 4), i, 8)], 'E2M1')),
    ],
  },
  Q1_0: {
    formula: '{d} × (2 × {q} − 1)',
    weigh: ({ d = 0, q = 0 }) => f(d * (2 * q - 1)),
    fields: [D, ['qs', 16, '1-bit', 'one bit for each weight: set for d, clear for −d']],
    quantities: [d16(0, 128), ...count(128, (i) => code(i, [piece(2 + (i >> 3), i & 7, 1, 'code')]))],
  },
  Q2_0: {
    formula: '{d} × ({q} − 1)',
    weigh: ({ d = 0, q = 0 }) => f((q - 1) * d),
    fields: [D, ['qs', 16, '2-bit', 'codes of four neighbours in a byte, the first lowest']],
    quantities: [d16(0, 64), ...count(64, (i) => code(i, [piece(2 + (i >> 2), 2 * (i & 3), 2, 'code')]))],
  },
};

const made = new Map<FormatName, Layout>();

/** The layout of a format's block, created on first use. */
export function layout(name: FormatName): Layout {
  const known = made.get(name);
  if (known) return known;
  const layout = laidOut(name, SPECS[name]);
  made.set(name, layout);
  return layout;
}

/** Every format that has a layout. */
export const layoutNames = Object.keys(SPECS) as FormatName[];
