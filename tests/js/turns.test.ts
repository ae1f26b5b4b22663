/** A model of very many tensors is opened, analyzed and converted in pieces, between which the thread does other things: counted, not timed. */

import {
  analyzeModel,
  init,
  openModel,
  planModel,
  quantizeModel,
  type Model,
  type Progress,
  type ResumableTarget,
  type Source,
} from 'quantpress';
import { afterEach, beforeAll, expect, test, vi } from 'vitest';
import { gguf, LLAMA, TYPE } from './support/gguf.js';

beforeAll(async () => {
  await init();
});
afterEach(() => {
  vi.restoreAllMocks();
});

function fileOf(count: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(512).fill(0x2c);
  const tensors = Array.from({ length: count }, (_, at) => {
    return { name: `blk.${at}.ffn_up.weight`, type: TYPE.F16, shape: [128, 2], bytes };
  });
  return gguf(LLAMA, tensors);
}

const opened = (count: number): Promise<Model> => openModel(fileOf(count));

test('a header of many tensors is parsed in pieces', async () => {
  const turns = vi.spyOn(globalThis, 'setImmediate');
  const count = 50_000;
  const model = await opened(count);
  expect(model.tensors).toHaveLength(count);
  expect(model.tensors.at(-1)?.name).toBe(`blk.${count - 1}.ffn_up.weight`);
  // To read the records, and to list the tensors.
  expect(turns.mock.calls.length).toBeGreaterThan(Math.floor(count / 8192) + Math.floor(count / 4096));
  await model.close();
});

test('an analysis looks up and prepares its tensors in pieces', async () => {
  const count = 20_000;
  const model = await opened(count);
  let [prepared, lookedUp] = [0, 0];
  for (const tensor of model.tensors) {
    const { bytes, name } = tensor;
    const getBytes = () => {
      prepared += 1;
      return bytes;
    };
    const getName = () => {
      lookedUp += 1;
      return name;
    };
    Object.defineProperties(tensor, { bytes: { get: getBytes }, name: { get: getName } });
  }
  const most = { prepared: 0, lookedUp: 0 };
  const run = setImmediate;
  vi.spyOn(globalThis, 'setImmediate').mockImplementation(((then: () => void) => {
    most.prepared = Math.max(most.prepared, prepared);
    most.lookedUp = Math.max(most.lookedUp, lookedUp);
    [prepared, lookedUp] = [0, 0];
    return run(then);
  }) as typeof setImmediate);
  const tensors = Array.from({ length: 1000 }, (_, at) => `blk.${at * 20}.ffn_up.weight`);
  const found = await analyzeModel(model, { tensors, formats: ['Q8_0'], sample: 1, workers: 0 });
  expect(found.tensors.map(({ name }) => name)).toEqual(tensors);
  expect(most.prepared).toBeGreaterThan(0);
  expect(most.prepared).toBeLessThanOrEqual(256);
  expect(most.lookedUp).toBeLessThanOrEqual(8192 + 256);
  await model.close();
});

/** The most bytes that are read, hashed, parsed or written at once. */
const PIECE = 1 << 20;

test('a plan of many tensors is made in pieces', async () => {
  const count = 50_000;
  const model = await opened(count);
  const turns = vi.spyOn(globalThis, 'setImmediate');
  const plan = await planModel(model, 'Q8_0');
  expect(plan.tensors).toHaveLength(count);
  // To read layers, to name, to choose and to write; and to list the tensors.
  expect(turns.mock.calls.length).toBeGreaterThan(Math.floor((4 * count) / 8192) + Math.floor(count / 4096));
  plan.free();
  await model.close();
});

/** A target in memory that can be resumed, and counts the turns of the thread. */
class Counting implements ResumableTarget {
  readonly file: Uint8Array<ArrayBuffer>;
  /** The journal of an earlier run. */
  left: Uint8Array<ArrayBuffer> | undefined;
  readonly journal: Uint8Array[] = [];
  /** The sizes of the writes. */
  readonly writes: number[] = [];
  /** The number of turns before each kind of call is first made. */
  readonly turns: Record<string, number> = {};
  readonly #turns: () => number;

  constructor(size: number, turns: () => number, earlier?: Counting) {
    this.#turns = turns;
    this.file = earlier?.file ?? new Uint8Array(size);
    if (earlier) this.left = new Uint8Array(Buffer.concat(earlier.journal));
  }

  async open(): Promise<void> {
    this.#note('open');
  }
  async reopen() {
    this.#note('open');
    return this.left;
  }
  async write(offset: number, bytes: Uint8Array): Promise<void> {
    this.#note('write');
    this.writes.push(bytes.length);
    this.file.set(bytes, offset);
  }
  async read(offset: number, length: number) {
    this.#note('read');
    return this.file.slice(offset, offset + length);
  }
  async log(entries: Uint8Array): Promise<void> {
    this.journal.push(entries.slice());
  }
  async close(): Promise<void> {}
  async abort(): Promise<void> {}
  async suspend(): Promise<void> {}

  #note(call: string): void {
    this.turns[call] ??= this.#turns();
  }
}

test('a conversion is planned, identified and begun in pieces, and resumed', async () => {
  const count = 40_000;
  const bytes = fileOf(count);
  const reads: number[] = [];
  const source: Source = {
    size: bytes.length,
    read: async (offset, length) => {
      reads.push(length);
      return bytes.slice(offset, offset + length);
    },
    fingerprint: async () => 'the same',
  };
  const model = await openModel(source);
  const planned = await planModel(model, 'Q8_0');
  const [size, header] = [planned.size, planned.header()];
  planned.free();
  expect(header.length).toBeGreaterThan(2 * PIECE);
  const pieces = Math.floor(header.length / PIECE);
  reads.length = 0;

  const immediate = vi.spyOn(globalThis, 'setImmediate');
  const turns = () => immediate.mock.calls.length;
  const options = { workers: 0, resume: true };
  const first = new Counting(size, turns);
  // Stopped after the last tile, so that the journal has all of them.
  const stop = new AbortController();
  const onProgress = ({ tensorsDone }: Progress) => {
    if (tensorsDone === count) stop.abort();
  };
  await expect(quantizeModel(model, first, 'Q8_0', { ...options, onProgress, signal: stop.signal })).rejects.toThrow();
  expect(first.file.subarray(0, header.length)).toEqual(header);
  // To plan; to hash the header before and after; to identify the tensors.
  const before = Math.floor((4 * count) / 8192) + 2 * pieces + Math.floor(count / 4096);
  expect(first.turns.open).toBeGreaterThanOrEqual(before);
  expect(Math.max(...reads)).toBeLessThanOrEqual(PIECE);
  expect(Math.max(...first.writes)).toBeLessThanOrEqual(PIECE);
  expect(first.writes.slice(0, pieces + 1).reduce((sum, length) => sum + length, 0)).toBe(header.length);

  immediate.mockClear();
  const second = new Counting(size, turns, first);
  expect(second.left?.length).toBeGreaterThan(2 * PIECE);
  const { bytesResumed } = await quantizeModel(model, second, 'Q8_0', options);
  expect(bytesResumed).toBe(count * 512);
  const [opened = 0, written = 0] = [second.turns.open, second.turns.write];
  expect(written - opened).toBeGreaterThanOrEqual(Math.floor((second.left?.length ?? 0) / PIECE));
  await model.close();
});
