/** The bytes of the open model by part. */

import type { TensorInfo } from 'quantpress';
import { GROUPS, groupOf } from '../groups.ts';
import { derived, type Pieces } from './derived.ts';
import { opened } from './model.ts';

/** Bytes of each part of the open model, by the ids of `GROUPS`. */
export const partsBefore = derived(() => opened.value && sums(opened.value.model.tensors));

function* sums(tensors: readonly TensorInfo[]): Pieces<ReadonlyMap<string, number>> {
  const sums = new Float64Array(GROUPS.length);
  for (const [index, { name, bytes }] of tensors.entries()) {
    const group = groupOf(name);
    sums[group] = (sums[group] ?? 0) + bytes;
    if (index % 512 === 511) yield;
  }
  return new Map([...sums].flatMap((sum, group) => (sum > 0 ? [[GROUPS[group]?.id ?? '', sum]] : [])));
}
