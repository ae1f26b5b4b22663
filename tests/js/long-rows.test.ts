/** Rows of any length: the amount that is read and converted at once is bounded, and the bytes stay the same. */

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
  type Recipe,
  type Source,
} from 'quantpress';
import { beforeAll, describe, expect, test } from 'vitest';
import { floats, gguf, ggufHeader, LLAMA, TYPE, wave } from './support/gguf.js';
import { legacyMatrix } from './support/imatrix.js';

beforeAll(() => init());

/** A tile of 2^20 weights of F32. */
const TILE_BYTES = 4 << 20;

/** A source that records the largest read. */
class Counting implements Source {
  readonly size: number;
  readonly name = 'counting';
  largest = 0;
  readonly #bytes: Uint8Array;

  /** Zeros follow after `bytes`. */
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
  ])('%s, importance %s: is encoded in pieces to the bytes of the whole row', async (type, weighted) => {
    const source = new Counting(gguf(LLAMA, [tensor]));
    const model = await openModel(source);
    const target = new MemoryTarget();
    const recipe: Recipe = { preset: 'Q8_0', pure: true, tensorTypes: [{ pattern: name, type }] };
    const imatrix = weighted ? legacyMatrix(name, importance) : undefined;
    const { tensors } = await quantizeModel(model, target, recipe, { imatrix, workers: 2, report: true });
    const whole = quantize(weights, type, { rowLength: row, ...(weighted && { importance }) });
    const made = await openModel(target.bytes ?? new Uint8Array());
    const { offset, bytes } = made.tensor(name);
    expect(Buffer.compare(await made.source.read(offset, bytes), whole)).toBe(0);
    expect(source.largest).toBeLessThanOrEqual(TILE_BYTES);
    // Measured on the whole row, with equal figures when it is written and when it is only analyzed.
    const analysis = await analyzeModel(model, { formats: [type], sample: 'all', imatrix, workers: 0 });
    const error = analysis.tensors[0]?.formats[0];
    expect(error).toMatchObject({ sampled: 2 * row });
    expect(error && 'rmse' in error && error.rmse).toBeCloseTo(tensors[0]?.error?.rmse ?? 0, 12);
    await model.close();
  });

  test('reports a non-finite weight with its row and column', async () => {
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

test('verify, diff, analyze and histograms read at most a tile of a long row at once', async () => {
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
