/** Long lists from the engine: a piece at a time, so that neither memory nor the caller's thread has to hold all of it twice. */

import { breathe } from './platform.js';
import { call } from './wasm.js';

/** Objects of the engine's that have a list of tensors. */
interface Listed {
  readonly tensorCount: number;
  /** Texts and numbers of tensors `from` up to `to`, one after the other. */
  tensors(from: number, to: number): unknown[];
}

/** Tensors in a piece: some milliseconds. */
const STEP = 4096;

/** Reads the columns of a list, in their order. */
export class Columns {
  readonly #texts: string[];
  readonly #numbers: Float64Array;
  readonly #lists: Lists;
  #text = 0;
  #number = 0;

  constructor([texts, numbers]: [texts: string[], numbers: Float64Array], lists = new Lists()) {
    this.#lists = lists;
    this.#texts = texts;
    this.#numbers = numbers;
  }

  text(): string {
    return this.#texts[this.#text++] ?? '';
  }

  number(): number {
    const number = this.#numbers[this.#number++] ?? 0;
    // Small integers as such: as doubles each would be an object of its own in V8.
    const small = number | 0;
    return small === number ? small : number;
  }

  /** Numbers with their count before them. The list is frozen, because objects with equal lists share it. */
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

/** The latest lists of numbers: a model has thousands of tensors of a few shapes. */
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

/** Lists that are compared with each new one. */
const LATEST = 16;

/** Makes an object of each tensor of `listed`, letting go of the thread between pieces. */
export async function tensorsOf<T>(listed: Listed, make: (columns: Columns) => T): Promise<T[]> {
  const count = call(() => listed.tensorCount);
  const tensors: T[] = [];
  const lists = new Lists();
  for (let from = 0; from < count; from += STEP) {
    if (from > 0) await breathe();
    const to = Math.min(from + STEP, count);
    const columns = new Columns(call(() => listed.tensors(from, to)) as [string[], Float64Array], lists);
    for (let index = from; index < to; index++) tensors.push(make(columns));
  }
  return tensors;
}
