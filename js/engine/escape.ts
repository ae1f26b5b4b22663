/**
 * Makes text from files harmless for terminals, pages and JSON: control and invisible characters are written as
 * `\uXXXX`. All output uses this function.
 */

/**
 * Control characters (C0, DEL, C1 with the one-byte CSI U+009B), format characters (bidi controls, zero width, tags),
 * line separators, spaces other than U+0020, characters without a glyph (variation selectors, fillers), private use,
 * and lone surrogates.
 */
const HIDDEN =
  /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\p{Cn}\p{Default_Ignorable_Code_Point}\u00a0\u1680\u2000-\u200a\u202f\u205f\u2800\u3000]/gu;

/** Text with all invisible characters escaped, including line breaks. */
export function escaped(text: string): string {
  return text.replace(HIDDEN, (char) => {
    // Units, not code points: JSON has no other escape.
    return Array.from({ length: char.length }, (_, index) => unit(char.charCodeAt(index))).join('');
  });
}

/**
 * A value as JSON without invisible characters except line breaks between its parts: the same value to every parser.
 */
export function escapedJson(
  value: unknown,
  replacer?: (key: string, value: unknown) => unknown,
  indent?: number,
): string {
  const json = JSON.stringify(value, replacer, indent) ?? 'null';
  // Outside strings JSON has only its own white space, so all other invisible characters are in strings.
  return json.split('\n').map(escaped).join('\n');
}

const unit = (code: number): string => `\\u${code.toString(16).padStart(4, '0')}`;
