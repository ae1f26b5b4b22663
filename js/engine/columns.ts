/**
 * Reads long lists from the engine in pieces, so that memory does not hold the list twice and the thread is not
 * blocked.
 */

import { breathe } from './platform.js';
import { callModel } from './model.js';

/** Objects of the engine that have a list of tensors. */
interface Listed {
  readonly tensorCount: number;
  /** Strings and numbers of the tensors `from` up to `to`, one after the other. */
  tensors(from: number, to: number): unknown[];
}

/** The number of tensors in a piece, which takes some milliseconds. */
const STEP = 4096;

/** A list as the engine gives it. */
export type ColumnArrays = [texts: string[], numbers: Float64Array];

/** Reads the columns of a list, in their order. */
export class Columns {
  readonly #texts: string[];
  readonly #numbers: Float64Array;
  readonly #lists: Lists;
  #text = 0;
  #number = 0;

  constructor([texts, numbers]: ColumnArrays, lists = new Lists()) {
    this.#lists = lists;
    this.#texts = texts;
    this.#numbers = numbers;
  }

  text(): string {
    return this.#texts[this.#text++] ?? '';
  }

  number(): number {
    const number = this.#numbers[this.#number++] ?? 0;
    // Stored as small integers: V8 would allocate an object for each double.
    const small = number | 0;
    return small === number ? small : number;
  }

  /** Reads numbers after their count. The list is frozen, because objects with equal lists share it. */
  list(): number[] {
    const length = this.number();
    const known = this.#lists.find((list) => list.length === length && list.every((n, i) => n === this.#ahead(i)));
    if (!known) return this.#lists.add(Array.from({ length }, () => this.number()));
    this.#number += length;
    return known;
  }

  #ahead(index: number): number | undefined {
    return this.#numbers[this.#number + index];
  }
}

/** The most recent lists of numbers: a model has thousands of tensors with a few shapes. */
class Lists {
  readonly #latest: number[][] = [];
  #next = 0;

  find(isWanted: (list: number[]) => boolean): number[] | undefined {
    return this.#latest.find(isWanted);
  }

  add(list: number[]): number[] {
    Object.freeze(list);
    this.#latest[this.#next] = list;
    this.#next = (this.#next + 1) % LATEST;
    return list;
  }
}

/** The number of lists that are compared with each new one. */
const LATEST = 16;

/** The tensors of `listed`, created on access: for lists that are read once or twice. */
export class LazyTensors<T> implements Iterable<T> {
  readonly length: number;
  readonly #listed: Listed;
  readonly #make: (columns: Columns) => T;
  /** The latest piece, and the index of its first tensor. */
  #latest: T[] = [];
  #from = 0;

  constructor(listed: Listed, make: (columns: Columns) => T) {
    this.#listed = listed;
    this.#make = make;
    this.length = callModel(() => listed.tensorCount);
  }

  /** The tensor at `index`, which is within the list. */
  at(index: number): T {
    if (!(index >= this.#from && index < this.#from + this.#latest.length)) {
      this.#from = index - (index % STEP);
      this.#latest = this.slice(this.#from, this.#from + STEP);
    }
    return this.#latest[index - this.#from] as T;
  }

  slice(from: number, to: number): T[] {
    const end = Math.min(to, this.length);
    const columns = new Columns(callModel(() => this.#listed.tensors(from, end)) as ColumnArrays);
    return Array.from({ length: Math.max(0, end - from) }, () => this.#make(columns));
  }

  *[Symbol.iterator](): Generator<T> {
    for (let from = 0; from < this.length; from += STEP) yield* this.slice(from, from + STEP);
  }
}

/** Creates an object for each tensor of `listed`, and yields to the event loop between pieces of `step` tensors. */
export async function tensorsOf<T>(listed: Listed, make: (columns: Columns) => T, step = STEP): Promise<T[]> {
  const count = callModel(() => listed.tensorCount);
  const tensors: T[] = [];
  const lists = new Lists();
  for (let from = 0; from < count; from += step) {
    if (from > 0) await breathe();
    const to = Math.min(from + step, count);
    const columns = new Columns(callModel(() => listed.tensors(from, to)) as ColumnArrays, lists);
    for (let index = from; index < to; index++) tensors.push(make(columns));
  }
  return tensors;
}
