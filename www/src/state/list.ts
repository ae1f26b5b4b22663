/** What the list of every tensor shows. */

import { signal } from '@preact/signals';
import { listOf, ORDERS } from '../understand/list.ts';
import { total } from './analysis.ts';
import { derived } from './derived.ts';

const filter = signal('');
export const order = signal('order of the file');

/** Lists the tensors whose names contain a text. */
export function listOnly(text: string): void {
  filter.value = text;
}

/** Lists the tensors in one of {@link ORDERS}. */
export function listBy(name: string): void {
  order.value = name;
}

/** What is listed; of a list that is being worked out, what was listed before. */
export const listed = derived(() => {
  const [tensors, text, by] = [total.value?.tensors, filter.value.trim().toLowerCase(), ORDERS[order.value]];
  return tensors && listOf(tensors, text, by);
});
