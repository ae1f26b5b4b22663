/** The bytes of the open model by its parts. */

import type { TensorInfo } from 'quantpress';
import { groupOf } from '../groups.ts';
import { derived, type Pieces } from './derived.ts';
import { opened } from './model.ts';

/** Bytes of each part of the open model, by the ids of `GROUPS`. */
export const partsBefore = derived(() => opened.value && sums(opened.value.model.tensors));

function* sums(tensors: readonly TensorInfo[]): Pieces<ReadonlyMap<string, number>> {
  const total = new Map<string, number>();
  for (const [index, { name, bytes }] of tensors.entries()) {
    const { id } = groupOf(name);
    total.set(id, (total.get(id) ?? 0) + bytes);
    if (index % 512 === 511) yield;
  }
  return total;
}
