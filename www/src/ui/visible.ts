/** Names and texts of files, which anybody may have written, as a page shows them. */

import { escaped } from '../../../dist/engine/escape.js';

/** Longer names are cut in lists. */
const LONGEST = 96;

/** A text with every character that is not seen, or changes how others are shown, as an escape: `\u202e`. */
export const visible = escaped;

/** A name in one line of a list: visible, and cut where it is long. */
export function listed(name: string, longest = LONGEST): string {
  return name.length <= longest ? visible(name) : `${visible(whole(name, longest))}… (${name.length} characters)`;
}

/** The beginning of a text; a pair of surrogates is not cut. */
export function whole(text: string, length: number): string {
  const last = text.charCodeAt(length - 1);
  return text.slice(0, last >= 0xd800 && last < 0xdc00 ? length - 1 : length);
}
