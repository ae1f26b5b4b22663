/** Formats numbers and tables. */

import { escaped, escapedJson } from '../engine/escape.js';

const UNITS = ['bytes', 'kB', 'MB', 'GB', 'TB'];

/** A number of bytes with three digits and a unit: 2.29 MB. */
export function bytes(count: number): string {
  const power = count < 1000 ? 0 : Math.min(Math.floor(Math.log10(count) / 3), UNITS.length - 1);
  return power === 0 ? `${count} bytes` : `${(count / 1000 ** power).toPrecision(3)} ${UNITS[power]}`;
}

/** Seconds as a duration: 0:07, 12:34, 1:02:03. */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const shown = parts[0] === 0 ? parts.slice(1) : parts;
  return shown.map((part, index) => (index === 0 ? String(part) : String(part).padStart(2, '0'))).join(':');
}

/** Rows as a table; columns whose heading begins with `>` are aligned right. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  return [...tableLines(headings, rows)].join('').trimEnd();
}

/** The rows of a table, generated twice on demand, because there may be a million. */
interface Rows {
  length: number;
  at(index: number): readonly string[] | undefined;
}

/** {@link table} line by line, each with a line break. */
export function* tableLines(headings: readonly string[], rows: Rows): Generator<string> {
  const right = headings.map((heading) => heading.startsWith('>'));
  const names = headings.map((heading) => heading.replace(/^>/, ''));
  const widths = names.map((name) => name.length);
  for (let index = 0; index < rows.length; index++) {
    for (const [column, text] of (rows.at(index) ?? []).entries()) {
      widths[column] = Math.max(widths[column] ?? 0, text.length);
    }
  }
  const cell = (text: string, column: number) =>
    right[column] ? text.padStart(widths[column] ?? 0) : text.padEnd(widths[column] ?? 0);
  const line = (row: readonly string[]) => `${`  ${row.map(cell).join('  ')}`.trimEnd()}\n`;
  yield line(names);
  for (let index = 0; index < rows.length; index++) yield line(rows.at(index) ?? []);
}

/** The number of elements of a long array that are converted to JSON at once. */
const STEP = 1024;

/**
 * A value as JSON in pieces, formatted like `JSON.stringify(value, null, 2)`: objects, maps and arrays may exceed the
 * length of a string. Anything with `length` and `slice` is an array. Integers beyond a double's precision are written
 * as strings.
 */
export function* jsonPieces(value: unknown, indent = ''): Generator<string> {
  const inner = `${indent}  `;
  if (typeof value === 'bigint') {
    yield escapedJson(Number.isSafeInteger(Number(value)) ? Number(value) : String(value));
  } else if (typeof value !== 'object' || value === null) {
    yield escapedJson(value);
  } else if (Array.isArray(value)) {
    yield* jsonList(value, indent);
  } else {
    const entries =
      value instanceof Map ? [...value.entries()] : Object.keys(value).map((key) => [key, undefined] as const);
    let separator = '{';
    for (const [key, mapped] of entries) {
      yield `${separator}\n${inner}${escapedJson(key)}: `;
      separator = ',';
      if (value instanceof Map) yield* jsonPieces(mapped, inner);
      else if (key === 'value' && isSliced(value)) yield* jsonList(value, inner);
      else yield* jsonPieces((value as Record<string, unknown>)[key], inner);
    }
    yield entries.length === 0 ? '{}' : `\n${indent}}`;
  }
}

interface Sliced {
  readonly length: number;
  slice(from: number, to: number): unknown[];
}

function isSliced(value: object): value is Sliced {
  return 'slice' in value && 'length' in value;
}

function* jsonList(list: Sliced, indent: string): Generator<string> {
  if (list.length === 0) return yield '[]';
  const inner = `${indent}  `;
  for (let at = 0; at < list.length; at += STEP) {
    for (const [index, element] of list.slice(at, at + STEP).entries()) {
      yield at + index === 0 ? `[\n${inner}` : `,\n${inner}`;
      yield* jsonPieces(element, inner);
    }
  }
  yield `\n${indent}]`;
}

/** Text from a file, made harmless for a terminal: invisible characters are escaped, and long text is truncated. */
export function printable(text: string, longest = 400): string {
  if (text.length <= longest) return escaped(text);
  // Do not split a surrogate pair.
  const shown = text.slice(0, longest).replace(/[\ud800-\udbff]$/, '');
  return `${escaped(shown)}... (${text.length} characters)`;
}
