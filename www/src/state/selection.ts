/** The tensor that is looked at: one the person chose, else the most damaged. */

import { computed, signal } from '@preact/signals';
import { total } from './analysis.ts';

const chosen = signal<string | undefined>(undefined);

export const selected = computed((): string | undefined => {
  const now = total.value;
  if (!now) return undefined;
  const found = chosen.value === undefined ? undefined : now.byName.get(chosen.value);
  return (found ?? now.worst[0] ?? now.tensors.find(({ planned }) => planned.shape.length > 1))?.name;
});

/** Looks at a tensor; its panel is brought into sight. */
export function select(name: string): void {
  chosen.value = name;
  document.getElementById('tensor')?.scrollIntoView({ block: 'nearest' });
}
