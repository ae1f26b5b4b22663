/** Shows names and texts of files, which may be hostile. */

import { escaped } from '../../../dist/engine/escape.js';

/** Longer names are truncated in lists. */
const LONGEST = 96;

/** A text with every character escaped that is invisible or changes how others are shown: `\u202e`. */
export const visible = escaped;

/** A name on one line of a list: escaped, and truncated if it is long. */
export function listed(name: string, longest = LONGEST): string {
  return name.length <= longest ? visible(name) : `${visible(whole(name, longest))}… (${name.length} characters)`;
}

/** The beginning of a text, without splitting a surrogate pair. */
export function whole(text: string, length: number): string {
  const last = text.charCodeAt(length - 1);
  return text.slice(0, last >= 0xd800 && last < 0xdc00 ? length - 1 : length);
}
