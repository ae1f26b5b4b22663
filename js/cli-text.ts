/** Numbers and tables for people to read. */

import { escaped } from './escape.js';

const UNITS = ['bytes', 'kB', 'MB', 'GB', 'TB'];

/** A count of bytes in three digits and a unit: 2.29 MB. */
export function bytes(count: number): string {
  const power = count < 1000 ? 0 : Math.min(Math.floor(Math.log10(count) / 3), UNITS.length - 1);
  return power === 0 ? `${count} bytes` : `${(count / 1000 ** power).toPrecision(3)} ${UNITS[power]}`;
}

/** Seconds as a clock has them: 0:07, 12:34, 1:02:03. */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const shown = parts[0] === 0 ? parts.slice(1) : parts;
  return shown.map((part, index) => (index === 0 ? String(part) : String(part).padStart(2, '0'))).join(':');
}

/** Rows as a table; columns that hold numbers are those whose heading begins with `>`. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const right = headings.map((heading) => heading.startsWith('>'));
  const all = [headings.map((heading) => heading.replace(/^>/, '')), ...rows];
  const widths = headings.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  const cell = (text: string, column: number) =>
    right[column] ? text.padStart(widths[column] ?? 0) : text.padEnd(widths[column] ?? 0);
  return all.map((row) => `  ${row.map(cell).join('  ')}`.trimEnd()).join('\n');
}

/** Text from a file, harmless on a terminal: what is hidden is written as escapes, and it is cut where it is long. */
export function printable(text: string, longest = 400): string {
  if (text.length <= longest) return escaped(text);
  // Not between the halves of a pair.
  const shown = text.slice(0, longest).replace(/[\ud800-\udbff]$/, '');
  return `${escaped(shown)}... (${text.length} characters)`;
}
