/**
 * Text from files made harmless for terminals, pages and JSON: what does something to its surroundings, or cannot be seen, is
 * written as `\uXXXX`. The one function for all output.
 */

/**
 * Control characters (C0, DEL, C1 with the one-byte CSI U+009B), format characters (bidi controls, zero width, tags), line
 * separators, spaces other than U+0020, what fonts leave out (variation selectors, fillers), private use, and halves of pairs.
 */
const HIDDEN =
  /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\p{Cn}\p{Default_Ignorable_Code_Point}\u00a0\u1680\u2000-\u200a\u202f\u205f\u2800\u3000]/gu;

/** Text with all that is hidden as escapes, new lines among it. */
export function escaped(text: string): string {
  return text.replace(HIDDEN, (char) => {
    // Units, not code points: JSON has no other escape.
    return Array.from({ length: char.length }, (_, index) => unit(char.charCodeAt(index))).join('');
  });
}

/** A value as JSON in which nothing is hidden but new lines between its parts: the same value to every parser. */
export function escapedJson(
  value: unknown,
  replacer?: (key: string, value: unknown) => unknown,
  indent?: number,
): string {
  const json = JSON.stringify(value, replacer, indent) ?? 'null';
  // Between strings there is only white space of JSON's own, so all else that is hidden is in a string.
  return json.split('\n').map(escaped).join('\n');
}

const unit = (code: number): string => `\\u${code.toString(16).padStart(4, '0')}`;
