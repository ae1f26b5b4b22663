/** A model of very many tensors is opened and analyzed in pieces, between which the thread does other things: counted, not timed. */

import { analyzeModel, init, openModel, type Model } from 'quantpress';
import { afterEach, beforeAll, expect, test, vi } from 'vitest';
import { gguf, LLAMA, TYPE } from './support/gguf.js';

beforeAll(async () => {
  await init();
});
afterEach(() => {
  vi.restoreAllMocks();
});

function opened(count: number): Promise<Model> {
  const bytes = new Uint8Array(512).fill(0x2c);
  const tensors = Array.from({ length: count }, (_, at) => {
    return { name: `blk.${at}.ffn_up.weight`, type: TYPE.F16, shape: [128, 2], bytes };
  });
  return openModel(gguf(LLAMA, tensors));
}

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
