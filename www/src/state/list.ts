/** The state of the tensor list. */

import { signal } from '@preact/signals';
import { listOf, ORDERS } from '../understand/list.ts';
import { total } from './analysis.ts';
import { derived } from './derived.ts';

const filter = signal('');
export const order = signal('order of the file');

/** Filters the list by text in names. */
export function listOnly(text: string): void {
  filter.value = text;
}

/** Sorts the list by one of {@link ORDERS}. */
export function listBy(name: string): void {
  order.value = name;
}

/** The listed tensors; the previous ones while the list is being computed. */
export const listed = derived(() => {
  const [tensors, text, by] = [total.value?.tensors, filter.value.trim().toLowerCase(), ORDERS[order.value]];
  return tensors && listOf(tensors, text, by);
});
