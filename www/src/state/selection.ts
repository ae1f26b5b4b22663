/** The selected tensor: the user's choice, otherwise the one with the largest error. */

import { computed, signal } from '@preact/signals';
import type { Damage, Damages } from '../understand/tensor-damage.ts';
import { total } from './analysis.ts';

const chosen = signal<string | undefined>(undefined);

export const selected = computed((): string | undefined => {
  const now = total.value;
  if (!now) return undefined;
  const found = chosen.value === undefined ? undefined : now.tensors.find(chosen.value);
  return (found ?? now.worst[0] ?? firstMatrix(now.tensors))?.name;
});

/** Selects a tensor and scrolls its panel into view. */
export function select(name: string): void {
  chosen.value = name;
  document.getElementById('tensor')?.scrollIntoView({ block: 'nearest' });
}

function firstMatrix(tensors: Damages): Damage | undefined {
  for (let index = 0; index < tensors.length; index++) {
    if (tensors.planned.treatment(index).shape.length > 1) return tensors.at(index);
  }
  return undefined;
}
