import { formats, type FormatName } from 'quantpress';
import { opened } from '../state/model.ts';

/** The formats that can be written, from the most to the fewest bits; none before the engine is there. */
export function encodable(): FormatName[] {
  // With a model there is an engine; and whoever shows the formats is told when there is.
  if (!opened.value) return [];
  return formats()
    .filter(({ name, canEncode, weights }) => canEncode && (weights > 1 || /^(F32|F16|BF16)$/.test(name)))
    .sort((a, b) => b.bitsPerWeight - a.bitsPerWeight)
    .map(({ name }) => name);
}
