/** Rows of any length: what is read and converted at once does not grow with them, and the bytes stay the same. */

import fc from 'fast-check';
import {
  analyzeModel,
  diffModels,
  init,
  MemoryTarget,
  openModel,
  quantize,
  quantizeModel,
  tensorHistogram,
  verifyModel,
  type FormatName,
  type PlannedTensor,
  type Source,
} from 'quantpress';
import { beforeAll, describe, expect, test } from 'vitest';
import { tilesOf, type Tile } from '../../dist/model/quantize/tiles.js';
import { floats, gguf, ggufHeader, LLAMA, TYPE, wave } from './support/gguf.js';
import { legacyMatrix } from './support/imatrix.js';

beforeAll(() => init());

/** A tile of 2^20 weights of F32. */
const TILE_BYTES = 4 << 20;

/** A source that tells how much was asked for at once. */
class Counting implements Source {
  readonly size: number;
  readonly name = 'counting';
  largest = 0;
  readonly #bytes: Uint8Array;

  /** What lies beyond `bytes` is zeros. */
  constructor(bytes: Uint8Array, size = bytes.length) {
    this.size = size;
    this.#bytes = bytes;
  }

  async read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    this.largest = Math.max(this.largest, length);
    const read = new Uint8Array(length);
    read.set(this.#bytes.subarray(offset, offset + length));
    return read;
  }
}

/** A model of one tensor of F16 zeros. */
function zeros(shape: number[]): Counting {
  const size = 2 * shape.reduce((product, n) => product * n, 1);
  const header = ggufHeader(LLAMA, [{ name: 'blk.0.ffn_up.weight', type: TYPE.F16, shape, size }]);
  return new Counting(header, header.length + size);
}

describe('a row that is longer than a tile', () => {
  // Longer than a tile by one block of the largest, and of very different weights in its parts.
  const row = (1 << 20) + 256;
  const name = 'blk.0.ffn_up.weight';
  const tensor = floats(name, [row, 2], (index) => wave(index) * (index % row < 1 << 19 ? 0.01 : 5));
  const weights = new Float32Array(tensor.bytes.buffer);
  const importance = Float32Array.from({ length: row }, (_, index) => 1 + ((index * 7919) % 13));

  test.each<[FormatName, boolean]>([
    ['Q4_0', true],
    ['Q5_1', true],
    ['Q4_K', true],
    ['Q4_0', false],
    ['Q6_K', false],
  ])('%s, importance %s: pieces have the bytes of the whole row', async (type, weighted) => {
    const source = new Counting(gguf(LLAMA, [tensor]));
    const model = await openModel(source);
    const target = new MemoryTarget();
    const recipe = { preset: 'Q8_0', pure: true, tensorTypes: [{ pattern: name, type }] };
    const imatrix = weighted ? legacyMatrix(name, importance) : undefined;
    const { tensors } = await quantizeModel(model, target, recipe, { imatrix, workers: 2, report: true });
    const whole = quantize(weights, type, { rowLength: row, ...(weighted && { importance }) });
    const made = await openModel(target.bytes ?? new Uint8Array());
    const { offset, bytes } = made.tensor(name);
    expect(Buffer.compare(await made.source.read(offset, bytes), whole)).toBe(0);
    expect(source.largest).toBeLessThanOrEqual(TILE_BYTES);
    // Measured on all of it, and the same whether it is written or only analyzed.
    const analysis = await analyzeModel(model, { formats: [type], sample: 'all', imatrix, workers: 0 });
    const error = analysis.tensors[0]?.formats[0];
    expect(error).toMatchObject({ sampled: 2 * row });
    expect(error && 'rmse' in error && error.rmse).toBeCloseTo(tensors[0]?.error?.rmse ?? 0, 12);
    await model.close();
  });

  test('a weight that is not finite is found in its row and column', async () => {
    const bytes = tensor.bytes.slice();
    new Float32Array(bytes.buffer)[row + (1 << 20) + 5] = Number.NaN;
    const model = await openModel(gguf(LLAMA, [{ ...tensor, bytes }]));
    const place = { row: 1, column: (1 << 20) + 5 };
    for (const imatrix of [undefined, legacyMatrix(name, importance)]) {
      const done = quantizeModel(model, new MemoryTarget(), 'Q4_0', { imatrix, workers: 0 });
      await expect(done).rejects.toMatchObject({ code: 'NON_FINITE', details: place });
    }
    await model.close();
  });
});

test('verify, diff, analyze and histograms read no more of a long row at once than a tile', async () => {
  const source = zeros([1 << 22, 2]);
  const [model, other] = [await openModel(source), await openModel(zeros([1 << 22, 2]))];
  const within = async (work: Promise<unknown>) => {
    source.largest = 0;
    await work;
    expect(source.largest).toBeGreaterThan(0);
    expect(source.largest).toBeLessThanOrEqual(TILE_BYTES);
  };
  expect((await verifyModel(model)).problems).toEqual([]);
  await within(verifyModel(model));
  await within(diffModels(model, other, { workers: 0 }));
  await within(analyzeModel(model, { formats: ['Q8_0'], sample: 'all', workers: 0 }));
  await within(analyzeModel(model, { formats: ['Q8_0'], workers: 0 }));
  await within(tensorHistogram(model, 'blk.0.ffn_up.weight', { format: 'Q8_0', workers: 0 }));
  await within(model.readTensor('blk.0.ffn_up.weight', { rows: [1, 2] }));
});

/** A tensor of a plan. */
function planned(rows: number, rowLength: number, headRows: number, to: FormatName): PlannedTensor {
  const weights = rows * rowLength;
  return {
    name: 'x',
    sourceName: 'x',
    from: 'F16',
    to,
    why: '',
    shape: [rowLength, rows],
    rows,
    rowLength,
    headRows,
    sourceOffset: 1000,
    sourceBytes: 2 * weights,
    targetOffset: 500,
    targetBytes: to === 'F32' ? 4 * weights : (weights / 32) * 34,
    paddedBytes: to === 'F32' ? 4 * weights : (weights / 32) * 34,
    needsImportance: false,
    hasImportance: false,
  };
}

test('tiles of rows past 2^31 are small, and cover the tensor', () => {
  let [count, end] = [0, 500];
  const tensor = planned(2, 2 ** 31 + 64, 0, 'Q8_0');
  for (const tile of tilesOf([tensor])) {
    expect(tile.input.length).toBeLessThanOrEqual(2 << 20);
    expect(tile.target.offset).toBe(end);
    expect(tile.columns * 2).toBe(tile.input.length);
    end += tile.target.length;
    count += 1;
  }
  expect(count).toBe(2 * (2 ** 11 + 1));
  expect(end).toBe(500 + tensor.targetBytes);
});

/** What a tile reads, in the order it is written: runs of neighbouring weights of the source. */
function* runs({ input, headRows, columns }: Tile): Generator<{ from: number; count: number }> {
  const rate = 2;
  const at = (offset: number) => (offset - 1000) / rate;
  const rows = input.length / rate / columns;
  if (headRows === 0) {
    yield { from: at(input.offset), count: rows * columns };
    return;
  }
  for (let head = 0; head < rows; head += headRows) {
    for (let row = 0; row < headRows; row++) {
      const half = headRows / 2;
      const local = (row % 2) * half + (row >> 1);
      const offset = input.second === undefined ? input.offset : row % 2 === 0 ? input.offset : input.second;
      const skip = input.second === undefined ? head + local : row >> 1;
      yield { from: at(offset) + skip * columns, count: columns };
    }
  }
}

test('heads whose halves are interleaved come in order, whatever fits in a tile', () => {
  const shape = fc.record({
    // Whole heads in a tile, some rows of both halves, or pieces of one row.
    rowLength: fc.constantFrom(32, 4096, (1 << 17) + 32, 3 << 20),
    half: fc.integer({ min: 1, max: 40 }),
    heads: fc.integer({ min: 1, max: 4 }),
    to: fc.constantFrom<FormatName>('Q8_0', 'F32'),
  });
  fc.assert(
    fc.property(shape, ({ rowLength, half, heads, to }) => {
      const tensor = planned(2 * half * heads, rowLength, 2 * half, to);
      let [weight, target] = [0, 500];
      for (const tile of tilesOf([tensor])) {
        expect(tile.input.length).toBeLessThanOrEqual(2 << 20);
        expect(tile.firstWeight).toBe(weight);
        expect(tile.target.offset).toBe(target);
        target += tile.target.length;
        for (const { from, count } of runs(tile)) {
          const [row, column] = [Math.floor(weight / rowLength), weight % rowLength];
          const [head, inHead] = [Math.floor(row / (2 * half)), row % (2 * half)];
          const sourceRow = head * 2 * half + (inHead % 2) * half + (inHead >> 1);
          expect(from).toBe(sourceRow * rowLength + column);
          weight += count;
        }
      }
      expect(weight).toBe(2 * half * heads * rowLength);
      expect(target).toBe(500 + tensor.targetBytes);
    }),
    { numRuns: 60, seed: 14 },
  );
});

test('a bias whose halves are interleaved is one of rows of one weight', () => {
  const tensor = { ...planned(1, 3 << 19, 1 << 12, 'F32'), shape: [3 << 19] };
  let weight = 0;
  for (const tile of tilesOf([tensor])) {
    expect([tile.columns, tile.headRows, tile.input.second]).toEqual([1, 1 << 12, undefined]);
    expect(tile.firstWeight).toBe(weight);
    weight += tile.input.length / 2;
  }
  expect(weight).toBe(3 << 19);
});
