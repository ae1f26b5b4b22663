/** The tensor that is looked at: one the person chose, else the most damaged. */

import { computed, signal } from '@preact/signals';
import { worst } from '../understand/damage.ts';
import { total } from './analysis.ts';

const chosen = signal<string | undefined>(undefined);

export const selected = computed((): string | undefined => {
  const tensors = (total.value?.tensors ?? []).filter(({ planned }) => planned.shape.length > 1);
  const found = tensors.find(({ name }) => name === chosen.value);
  return (found ?? worst(tensors)[0])?.name;
});

/** Looks at a tensor; its panel is brought into sight. */
export function select(name: string): void {
  chosen.value = name;
  document.getElementById('tensor')?.scrollIntoView({ block: 'nearest' });
}
