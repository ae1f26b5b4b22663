import { formats, type FormatName } from 'quantpress';
import { opened } from '../state/model.ts';

/** The formats that can be written, from the most to the fewest bits; none before the engine is loaded. */
export function encodable(): FormatName[] {
  // The engine is loaded once a model is open; reading that signal updates the views.
  if (!opened.value) return [];
  return formats()
    .filter(({ name, canEncode, weights }) => canEncode && (weights > 1 || /^(F32|F16|BF16)$/.test(name)))
    .sort((a, b) => b.bitsPerWeight - a.bitsPerWeight)
    .map(({ name }) => name);
}
