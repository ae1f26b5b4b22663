/**
 * Reads objects that callers pass: options, values with a `kind`, records of fields.
 *
 * A table has a {@link Reader} for every key of the interface, so that a key without a check does not compile. One rule holds
 * for all options: a key that is `undefined` is absent, and a key that is not in the table is an error.
 */

import {
  expectArray,
  expectBytes,
  expectChoice,
  expectCount,
  expectDoubles,
  expectFlag,
  expectFloats,
  expectFunction,
  expectIntegers,
  expectNumber,
  expectObject,
  expectOffset,
  expectShape,
  expectText,
  wrongType,
} from './check.js';
import { QuantpressError } from './error.js';
import { nearest } from './nearest.js';

/** Checks one value, and returns it as the engine takes it. Messages call it `name`. */
export type Reader<T> = (name: string, value: unknown) => T;

/** A reader for every key of an interface, optional or not. */
export type ReaderTable<T> = { readonly [K in keyof T]-?: Reader<Exclude<T[K], undefined>> };

/**
 * The options of a function, without those that are `undefined`. Only keys of the table are read; inherited properties
 * are ignored.
 *
 * @throws {@link QuantpressError} `ARGUMENT` if it is not an object or has an unknown key, and any error of the
 * readers.
 */
export function readOptions<T extends object>(owner: string, table: ReaderTable<T>, value: unknown): T {
  return read(owner, 'options', table, value);
}

/** {@link readOptions} for an argument with another name than `options`. */
export function readNamedOptions<T extends object>(
  owner: string,
  name: string,
  table: ReaderTable<T>,
  value: unknown,
): T {
  return read(owner, name, table, value);
}

function read<T extends object>(owner: string, name: string, table: ReaderTable<T>, value: unknown): T {
  expectObject(name, value);
  expectKnown(owner, Object.keys(table), value);
  const given: Partial<T> = {};
  for (const key of Object.keys(table) as (keyof T & string)[]) {
    const option: unknown = (value as Partial<T>)[key];
    if (option !== undefined) given[key] = table[key](key, option);
  }
  return given as T;
}

function expectKnown(owner: string, known: readonly string[], value: object): void {
  const option = Object.keys(value).find((key) => !known.includes(key));
  if (option === undefined) return;
  const near = likely(option, known);
  const hint = near === undefined ? '' : ` Did you mean '${near}'?`;
  const all = known.length > 0 ? `Its options are ${known.join(', ')}.` : 'It has no options.';
  const message = `${owner} has no option '${option}'.${hint} ${all}`;
  throw new QuantpressError('ARGUMENT', message, { owner, option, ...(near !== undefined && { nearest: near }) });
}

/**
 * The known name that was probably meant: the one with a similar spelling, otherwise the only one that ends in the same
 * word.
 */
function likely(name: string, known: readonly string[]): string | undefined {
  const [near] = nearest(name, known, { most: 1 });
  if (near !== undefined) return near;
  const lastWord = (text: string) => /[A-Z][a-z]+$/.exec(text)?.[0];
  const alike = known.filter(
    (candidate) => lastWord(candidate) !== undefined && lastWord(candidate) === lastWord(name),
  );
  return alike.length === 1 ? alike[0] : undefined;
}

/** Reads a field that may be absent from a value with a `kind`; it is `undefined` then. */
export function optional<T>(reader: Reader<T>): Reader<T | undefined> {
  return (name, value) => (value === undefined ? undefined : reader(name, value));
}

/** The tables for the kinds of a union; all fields are required except those that are {@link optional}. */
export type KindTable<T extends { kind: string }> = {
  readonly [K in T['kind']]: FieldTable<Omit<Extract<T, { kind: K }>, 'kind'>>;
};

/** Readers of required and of optional fields. */
type FieldTable<T> = { readonly [K in keyof T]-?: Reader<T[K]> };

/**
 * A value of a union, by its `kind`: as strict as options are.
 *
 * @throws {@link QuantpressError} `ARGUMENT` for an unknown kind or key, and any error of the readers.
 */
export function readKind<T extends { kind: string }>(table: KindTable<T>, name: string, value: unknown): T {
  expectObject(name, value);
  const { kind } = value as { kind: unknown };
  const kinds = Object.keys(table) as T['kind'][];
  expectChoice(`${name}.kind`, kind, kinds);
  const readers = table[kind as T['kind']] as ReaderTable<Record<string, unknown>>;
  expectKnown(`${name} of kind '${String(kind)}'`, ['kind', ...Object.keys(readers)], value);
  const fields = Object.entries(readFields(readers, name, value)).filter(([, field]) => field !== undefined);
  return { kind, ...Object.fromEntries(fields) } as unknown as T;
}

/**
 * A record with all the fields of a table. Other fields are ignored: results may be stored with more of them.
 *
 * @throws {@link QuantpressError} `ARGUMENT` if it is not an object, and any error of the readers.
 */
export function readFields<T extends object>(table: ReaderTable<T>, name: string, value: unknown): T {
  expectObject(name, value);
  const fields: Partial<T> = {};
  for (const key of Object.keys(table) as (keyof T & string)[]) {
    fields[key] = table[key](`${name}.${key}`, (value as Partial<T>)[key]);
  }
  return fields as T;
}

/** A `Float32Array`, as one of this realm: inside objects the engine accepts only those. */
export const floats: Reader<Float32Array> = (name, value) => {
  expectFloats(name, value);
  const { buffer, byteOffset, length } = value;
  return value instanceof Float32Array ? value : new Float32Array(buffer, byteOffset, length);
};

/** A `Float64Array`, as one of this realm. */
export const doubles: Reader<Float64Array> = (name, value) => {
  expectDoubles(name, value);
  const { buffer, byteOffset, length } = value;
  return value instanceof Float64Array ? value : new Float64Array(buffer, byteOffset, length);
};

/** A `Uint8Array`, as one of this realm. */
export const bytes: Reader<Uint8Array> = (name, value) => {
  expectBytes(name, value);
  const { buffer, byteOffset, length } = value;
  return value instanceof Uint8Array ? value : new Uint8Array(buffer, byteOffset, length);
};

/** An `Int32Array`, as one of this realm. */
export const integers: Reader<Int32Array> = (name, value) => {
  expectIntegers(name, value);
  const { buffer, byteOffset, length } = value;
  return value instanceof Int32Array ? value : new Int32Array(buffer, byteOffset, length);
};

/** A finite number. */
export const number: Reader<number> = (name, value) => {
  expectNumber(name, value);
  return value;
};

/** A whole number from 0 to 2^32 - 1. */
export const count: Reader<number> = (name, value) => {
  expectCount(name, value);
  return value;
};

/** A whole number from 0 to 2^53 - 1. */
export const offset: Reader<number> = (name, value) => {
  expectOffset(name, value);
  return value;
};

/** `true` or `false`. */
export const flag: Reader<boolean> = (name, value) => {
  expectFlag(name, value);
  return value;
};

/** A string, typed `never` so that it can be used for names too, which the engine checks. */
export const text: Reader<never> = (name, value) => {
  expectText(name, value);
  return value as never;
};

/** An array of strings. */
export const texts: Reader<never> = (name, value) => {
  expectArray(name, value);
  for (const [index, item] of value.entries()) expectText(`${name}[${index}]`, item);
  return value as never;
};

/** An array of whole numbers. */
export const shape: Reader<readonly number[]> = (name, value) => {
  expectShape(value, name);
  return value;
};

/** A function. */
export const callback: Reader<never> = (name, value) => {
  expectFunction(name, value);
  return value as never;
};

/** An `AbortSignal`, of any realm. */
export const signal: Reader<AbortSignal> = (name, value) => {
  const is = typeof value === 'object' && value !== null && 'aborted' in value && 'addEventListener' in value;
  if (!is) throw wrongType(name, 'an AbortSignal', value);
  return value as AbortSignal;
};

/** A value that is checked where it is used. */
export const unchecked: Reader<never> = (_, value) => value as never;
