/**
 * Every format through WebAssembly against the golden vectors; their layout is documented in tests/oracle/golden.rs.
 */

import { readdirSync, readFileSync } from 'node:fs';
import {
  dequantize,
  dequantizeInto,
  type Format,
  type FormatName,
  formats,
  init,
  QuantpressError,
  quantize,
  quantizeInto,
  validate,
} from 'quantpress';
import { beforeAll, describe, expect, test } from 'vitest';
import { fromBase64 as bytes } from './support/golden.js';

const FOLDER = 'tests/golden/formats';

/** A row as base64, or `refused`. All rows of a kind of importance, or `as none`. */
type Rows = string[] | 'as none' | 'refused';

interface Golden {
  encode?: Record<string, Record<string, Rows>>;
  decode: { bytes: string; weights?: string; valid?: string };
}

interface Inputs {
  rowLength: number;
  weights: Record<string, string>;
  importance: Record<string, string>;
}

const inputs: Inputs = read('inputs');
// The list of tests is the directory.
const names = readdirSync(FOLDER)
  .map((file) => file.replace(/\.json$/, ''))
  .filter((name) => name !== 'inputs') as FormatName[];

let known: Format[];
beforeAll(async () => {
  await init();
  known = formats();
});

test('every format has a file', () => {
  expect(names.toSorted()).toEqual(known.map(({ name }) => name).sort());
});

describe.each(names)('%s', (name) => {
  const golden: Golden = read(name);
  const format = () => known.find((format) => format.name === name) as Format;

  test('quantize() writes the bytes of the reference', () => {
    if (!format().canEncode) {
      const refused = attempt(() => quantize(new Float32Array(format().weights), name));
      expect(refused).toBe('UNSUPPORTED');
      return;
    }
    expect(Object.keys(golden.encode ?? {})).toHaveLength(10);
    for (const [distribution, kinds] of Object.entries(golden.encode ?? {})) {
      const weights = floats(inputs.weights[distribution] as string);
      for (const [kind, listed] of Object.entries(kinds)) {
        const importance = kind === 'none' ? undefined : floats(inputs.importance[kind] as string);
        const rows = listed === 'as none' ? kinds.none : listed;
        compareRows(`${name} ${distribution}, importance ${kind}`, weights, importance, rows as Rows);
      }
    }
  });

  function compareRows(about: string, weights: Float32Array, importance: Float32Array | undefined, rows: Rows): void {
    const { rowLength } = inputs;
    const bytesPerRow = (rowLength / format().weights) * format().bytes;
    for (let row = 0; row * rowLength < weights.length; row++) {
      const one = weights.subarray(row * rowLength, (row + 1) * rowLength);
      const options = importance ? { importance } : {};
      const into = new Uint8Array(bytesPerRow).fill(0xa5);
      const wanted = rows === 'refused' ? rows : (rows[row] as string);
      if (wanted === 'refused') {
        const code = rows === 'refused' ? 'NEEDS_IMPORTANCE' : 'UNREPRESENTABLE';
        expect(
          attempt(() => quantize(one, name, options)),
          `${about}, row ${row}`,
        ).toBe(code);
        expect(
          attempt(() => quantizeInto(one, name, into, options)),
          `${about}, row ${row}`,
        ).toBe(code);
        expect(
          into.every((byte) => byte === 0xa5),
          'out is unchanged',
        ).toBe(true);
        continue;
      }
      const theirs = bytes(wanted);
      expect(difference(quantize(one, name, options), theirs, format().bytes), `${about}, row ${row}`).toBe('');
      quantizeInto(one, name, into, options);
      expect(difference(into, theirs, format().bytes), `${about}, row ${row}, into`).toBe('');
    }
  }

  test('dequantize() gives the weights of the reference', () => {
    const encoded = bytes(golden.decode.bytes);
    const ours = dequantize(encoded, name);
    const into = new Float32Array(ours.length);
    dequantizeInto(encoded, name, into);
    expect(difference(bits(into), bits(ours), format().weights)).toBe('');
    // The integers have no decoder in the reference.
    if (golden.decode.weights === undefined) return;
    const theirs = floats(golden.decode.weights);
    // Neither Rust nor WebAssembly guarantees the payload of a computed NaN; float formats convert bits.
    const anyNaN = format().weights > 1;
    const theirBits = bits(theirs);
    const same = bits(ours).map((ourBits, index) =>
      anyNaN && Number.isNaN(ours[index]) && Number.isNaN(theirs[index]) ? (theirBits[index] as number) : ourBits,
    );
    expect(difference(same, theirBits, format().weights)).toBe('');
  });

  test('validate() agrees with the reference', () => {
    const encoded = bytes(golden.decode.bytes);
    const verdicts = golden.decode.valid;
    if (verdicts === undefined) return;
    const blocks = Array.from({ length: encoded.length / format().bytes }, (_, block) =>
      encoded.subarray(block * format().bytes, (block + 1) * format().bytes),
    );
    const code = format().weights === 1 ? 'NON_FINITE' : 'INVALID_BLOCK';
    expect(blocks.map((block) => attempt(() => validate(block, name)))).toEqual(
      [...verdicts].map((verdict) => (verdict === '1' ? 'fine' : code)),
    );
  });
});

function read<T>(name: string): T {
  return JSON.parse(readFileSync(`${FOLDER}/${name}.json`, 'utf8'));
}

function floats(base64: string): Float32Array {
  return new Float32Array(bytes(base64).buffer);
}

function bits(weights: Float32Array): Uint32Array {
  return new Uint32Array(weights.buffer, weights.byteOffset, weights.length);
}

/** The code of the error, or `fine`. */
function attempt(run: () => unknown): string {
  try {
    run();
    return 'fine';
  } catch (error) {
    if (error instanceof QuantpressError) return error.code;
    throw error;
  }
}

/** Empty if both are equal; otherwise the number of blocks that differ, the worst, and the first difference. */
function difference(ours: Uint8Array | Uint32Array, theirs: Uint8Array | Uint32Array, perBlock: number): string {
  if (ours.length !== theirs.length) return `${ours.length} values, the reference has ${theirs.length}`;
  const perBlockCount = new Map<number, number>();
  let first = '';
  ours.forEach((value, index) => {
    if (value === theirs[index]) return;
    const block = Math.floor(index / perBlock);
    perBlockCount.set(block, (perBlockCount.get(block) ?? 0) + 1);
    const hex = (value: number | undefined) => (value ?? 0).toString(16);
    first ||= `block ${block}, place ${index % perBlock}: ours ${hex(value)}, the reference's ${hex(theirs[index])}`;
  });
  if (first === '') return '';
  const [worst] = [...perBlockCount].sort(([, a], [, b]) => b - a)[0] as [number, number];
  return `${perBlockCount.size} of ${ours.length / perBlock} blocks differ, most in block ${worst}; first is ${first}`;
}
