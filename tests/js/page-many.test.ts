/** The playground with 300 000 tensors: no computation handles more than a few hundred before it pauses, and none makes an object of each. */

import { init, type FormatName, type TensorAnalysis } from 'quantpress';
import { beforeAll, expect, test, vi } from 'vitest';
import { inTurns } from '../../www/src/state/derived.js';
import { orderedNames, PlannedTensors, type Treatment, weightsIn } from '../../www/src/state/tensors.js';
import { damageOf, differencesOf, errorOf, measuredIn, PIECE } from '../../www/src/understand/damage.js';
import { listOf, ORDERS } from '../../www/src/understand/list.js';
import { descendingKeys } from '../../www/src/understand/order.js';
import type { Damages } from '../../www/src/understand/tensor-damage.js';

beforeAll(() => init());

const COUNT = 300_000;
const [LAYERS, EXPERTS] = [1000, 300];

/** The number of tensors accessed since the last pause, and the maximum between two pauses. */
class Watched extends PlannedTensors {
  looked = 0;
  made = 0;
  override treatment(index: number): Treatment {
    this.looked += 1;
    return super.treatment(index);
  }
  override at(index: number) {
    this.made += 1;
    return super.at(index);
  }
}

const model = Array.from({ length: COUNT }, (_, at) => ({
  name: `blk.${Math.floor(at / EXPERTS)}.ffn_up.${at % EXPERTS}.weight`,
}));
const order = Uint32Array.from(model.keys()).reverse();
const common = { shape: [256, 2], rows: 2, rowLength: 256, permutedHeadRows: 0, sourceBytes: 1024 };
const flags = { needsImportance: false, hasImportance: false };

function plan(to: FormatName, names = orderedNames(model, order)): Watched {
  const treatment = {
    ...common,
    ...flags,
    from: 'F16',
    to,
    why: 'default',
    targetBytes: 288,
    paddedBytes: 288,
  } as const;
  const kept = {
    ...common,
    ...flags,
    from: 'F32',
    to: 'F32',
    why: 'norm',
    targetBytes: 2048,
    paddedBytes: 2048,
  } as const;
  const codes = Uint32Array.from({ length: COUNT }, (_, at) => (at % 10 === 0 ? 1 : 0));
  return new Watched(names, [treatment, kept], codes);
}

/** Runs a computation and counts the tensors it accesses between two pauses. */
function run<T>(pieces: Generator<undefined, T>, tensors: Watched): { value: T; most: number; pauses: number } {
  let [most, pauses] = [0, 0];
  for (;;) {
    tensors.looked = 0;
    const { done, value } = pieces.next();
    most = Math.max(most, tensors.looked);
    if (done) return { value, most, pauses };
    pauses += 1;
  }
}

/** Figures of every hundredth tensor: half of them 3/32, half 5/32, whose squares and their sums are exact in binary. */
const analyses = new Map<string, TensorAnalysis>(
  model
    .filter((_, at) => at % 100 === 7)
    .map(({ name }, at) => {
      const figures = { relativeRmse: at % 2 === 0 ? 3 / 32 : 5 / 32, sampled: 512, bytes: 288, bitsPerWeight: 4.5 };
      const formats = [{ format: 'Q4_K' as const, ...figures, rmse: 1, sqnrDb: 20, cosineSimilarity: 1, maxError: 1 }];
      return [name, { name, type: 'F16', shape: [256, 2], weights: 512, bytes: 1024, sampled: 512, formats }];
    }),
);

test('the cost of a plan is summed in pieces, without an object per tensor', () => {
  const tensors = plan('Q4_K');
  const { value, most, pauses } = run(damageOf({ size: 1, tensors }, analyses), tensors);
  expect(most).toBeLessThanOrEqual(PIECE);
  expect(pauses).toBeGreaterThan((4 * COUNT) / PIECE);
  expect(tensors.made).toBeLessThan(4000);
  expect(value.grid.rows.length * value.grid.columns.length).toBeLessThanOrEqual(4000);
  expect(value.grid.rows.flatMap(({ cells }) => cells).reduce((sum, cell) => sum + (cell?.count ?? 0), 0)).toBe(COUNT);
  expect(value.worst).toHaveLength(50);
  expect(value.worst[0]?.error).toBe(5 / 32);
  // Changed tensors that are not measured have the mean square of the measured ones, 17/1024, and nine of ten are changed.
  expect(value.error).toBe(Math.sqrt((17 * 9) / (1024 * 10)));
  // Another plan with the same names accesses none of them again.
  const again = vi.spyOn(tensors.names, 'at');
  run(damageOf({ size: 1, tensors: plan('Q4_K', tensors.names) }, analyses), tensors);
  expect(again.mock.calls.length).toBeLessThan(4000);
});

test("a preset's error is that of its plan over the measured tensors", () => {
  const tensors = plan('Q4_K');
  const asked = vi.spyOn(tensors.names, 'sourceAt');
  const found = mostReads(measuredIn(tensors, analyses), () => asked.mock.calls.length);
  expect(found.most).toBeLessThanOrEqual(PIECE);
  const measured = found.value;
  expect(measured).toHaveLength(analyses.size);
  const all = Array.from({ length: COUNT }, (_, at) => tensors.treatment(at));
  const outline = { size: 1, missing: [], tensors, weights: weightsIn(all), typeOf: () => 'Q4_K' as const };
  const typeOf = (index: number): FormatName => tensors.treatment(index).to;
  const { value, most } = run(errorOf({ ...outline, typeOf }, measured), tensors);
  expect(most).toBeLessThanOrEqual(2 * PIECE);
  const total = run(damageOf({ size: 1, tensors }, analyses), tensors).value;
  expect(value).toEqual({ error: total.error, bitsPerWeight: total.bitsPerWeight });
});

test('the list is filtered and sorted in pieces', () => {
  const tensors = plan('Q4_K');
  const all: Damages = run(damageOf({ size: 1, tensors }, analyses), tensors).value.tensors;
  const counted = vi.spyOn(tensors.names, 'at');
  const pieces = listOf(all, 'ffn_up.29', ORDERS['size, largest first']);
  let most = 0;
  for (;;) {
    counted.mockClear();
    tensors.looked = 0;
    const { done, value } = pieces.next();
    most = Math.max(most, counted.mock.calls.length, tensors.looked);
    if (!done) continue;
    expect(value.length).toBe(LAYERS * 11);
    expect(value.at(0).planned.to).toBe('F32');
    break;
  }
  expect(most).toBeLessThanOrEqual(PIECE);
  const whole = run(listOf(all, ''), tensors);
  expect([whole.value.length, whole.value.at(0).name]).toEqual([COUNT, model.at(-1)?.name]);
});

test('two plans are compared in pieces, with objects only for the first differences', () => {
  const names = orderedNames(model, order);
  const [a, b] = [plan('Q4_K', names), plan('Q8_0', names)];
  const [first, second] = [a, b].map((tensors) => run(damageOf({ size: 1, tensors }, analyses), tensors).value.tensors);
  b.made = 0;
  const { value, most } = run(differencesOf(first as Damages, second as Damages, 50), b);
  expect(most).toBeLessThanOrEqual(PIECE + 50);
  expect([value.count, value.first.length, b.made]).toEqual([COUNT * 0.9, 50, 50]);
});

test('two plans with lists of names of their own are compared in pieces', () => {
  const [a, b] = [plan('Q4_K'), plan('Q8_0')];
  const [first, second] = [a, b].map((tensors) => run(damageOf({ size: 1, tensors }, analyses), tensors).value.tensors);
  const asked = [a, b].map(({ names }) => vi.spyOn(names, 'at'));
  const calls = () => asked.reduce((sum, { mock }) => sum + mock.calls.length, 0);
  const { value, most } = mostReads(differencesOf(first as Damages, second as Damages, 50), calls);
  // The end of one loop, the start of the next, and the first differences.
  expect(most).toBeLessThanOrEqual(2 * PIECE + 100);
  expect([value.count, value.first.length]).toEqual([COUNT * 0.9, 50]);
});

test('a computation in turns gives the same result as at once', async () => {
  const tensors = plan('Q4_K');
  const measured = await inTurns(measuredIn(tensors, analyses));
  expect(measured).toHaveLength(analyses.size);
});

/** Reads of a list between two pauses of a computation, at most. */
function mostReads<T>(pieces: Generator<undefined, T>, reads: () => number): { value: T; most: number } {
  for (let [most, before] = [0, 0]; ; before = reads()) {
    const { done, value } = pieces.next();
    most = Math.max(most, reads() - before);
    if (done) return { value, most };
  }
}

test('keys are sorted in descending order, stably', () => {
  const floats = Float64Array.from({ length: 2000 }, (_, at) => Math.fround(((at * 7919) % 3001) / 7));
  const few = floats.map((_, at) => (at * 37) % 11);
  const special = Float64Array.of(0, 1, Infinity, -1, 2 ** -140, 0, 3e38, -Infinity, 1);
  for (const keys of [floats, few, special, new Float64Array(0)]) {
    const at = (place: number) => Math.max(0, keys[place] ?? 0);
    const expected = [...keys.keys()].sort((a, b) => (at(a) === at(b) ? 0 : at(b) > at(a) ? 1 : -1));
    expect([...run(descendingKeys(keys), plan('Q4_K')).value]).toEqual(expected);
  }
});

test('hundreds of thousands of keys are sorted in pieces', () => {
  const keys = Float64Array.from({ length: COUNT }, (_, at) => (at * 7919) % 300_007);
  let reads = 0;
  const counting = new Proxy(keys, {
    get(target, key) {
      reads += 1;
      return Reflect.get(target, key, target);
    },
  });
  // A key and the length for each turn of a loop.
  const { value, most } = mostReads(descendingKeys(counting), () => reads);
  expect(most).toBeLessThanOrEqual(2 * 8192 + 8);
  // Reading the keys, and a pass for each of their two digits.
  expect(run(descendingKeys(keys), plan('Q4_K')).pauses).toBeGreaterThanOrEqual(3 * Math.floor(COUNT / 8192));
  expect(keys[value[0] ?? 0]).toBe(300_006);
});
