/** Filters and sorts the tensor list in pieces, for lists of hundreds of thousands. */

import type { Pieces } from '../state/derived.js';
import { PIECE } from './damage.js';
import { descendingKeys } from './order.js';
import type { Damage, Damages } from './tensor-damage.js';

/** The sort orders of the list. */
export const ORDERS: Record<string, ((tensors: Damages, index: number) => number) | undefined> = {
  'order of the file': undefined,
  'error, worst first': (tensors, index) => tensors.error(index) ?? 0,
  'size, largest first': (tensors, index) => tensors.planned.treatment(index).targetBytes,
};

/** Sorted tensors. */
export class TensorList {
  readonly tensors: Damages;
  readonly #indexes: Uint32Array | undefined;

  /** @param indexes - The tensors; by default all in the order of the file. */
  constructor(tensors: Damages, indexes: Uint32Array | undefined) {
    this.tensors = tensors;
    this.#indexes = indexes;
  }

  get length(): number {
    return this.#indexes?.length ?? this.tensors.length;
  }

  at(index: number): Damage {
    return this.tensors.at(this.#indexes ? (this.#indexes[index] ?? 0) : index);
  }
}

/** The tensors whose names contain a lower-case text, sorted by a key. */
export function* listOf(
  tensors: Damages,
  text: string,
  keyOf?: (tensors: Damages, index: number) => number,
): Pieces<TensorList> {
  if (text === '' && !keyOf) return new TensorList(tensors, undefined);
  const { names } = tensors.planned;
  const found: number[] = [];
  for (let index = 0; index < names.length; index++) {
    if (text === '' || names.at(index).toLowerCase().includes(text)) found.push(index);
    if (index % PIECE === PIECE - 1) yield;
  }
  if (!keyOf) return new TensorList(tensors, Uint32Array.from(found));
  const keys = new Float64Array(found.length);
  for (const [at, index] of found.entries()) {
    keys[at] = keyOf(tensors, index);
    if (at % PIECE === PIECE - 1) yield;
  }
  const indexes = yield* descendingKeys(keys);
  for (let at = 0; at < indexes.length; at++) indexes[at] = found[indexes[at] ?? 0] ?? 0;
  return new TensorList(tensors, indexes);
}
