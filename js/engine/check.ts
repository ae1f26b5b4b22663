/**
 * Checks arguments before they reach the engine, because wasm-bindgen silently converts numbers to integers.
 *
 * Every message has one form: the name of the argument, its value, and what it must be. The code is `ARGUMENT` for a
 * value of another type and `RANGE` for a number that is out of bounds.
 */

import { typedArrayKind } from './cross-realm.js';
import { QuantpressError } from './error.js';

/** Rejects all but a `Float32Array`, of any realm. */
export function expectFloats(name: string, value: unknown): asserts value is Float32Array {
  if (typedArrayKind(value) !== 'Float32Array') throw wrongType(name, 'a Float32Array', value);
  expectAttached(name, value as Float32Array);
}

/** Rejects all but a `Float64Array`, of any realm. */
export function expectDoubles(name: string, value: unknown): asserts value is Float64Array {
  if (typedArrayKind(value) !== 'Float64Array') throw wrongType(name, 'a Float64Array', value);
  expectAttached(name, value as Float64Array);
}

/** Rejects all but a `Uint8Array`, of any realm. */
export function expectBytes(name: string, value: unknown): asserts value is Uint8Array {
  if (typedArrayKind(value) !== 'Uint8Array') throw wrongType(name, 'a Uint8Array', value);
  expectAttached(name, value as Uint8Array);
}

/** Rejects all but an `Int32Array`, of any realm. */
export function expectIntegers(name: string, value: unknown): asserts value is Int32Array {
  if (typedArrayKind(value) !== 'Int32Array') throw wrongType(name, 'an Int32Array', value);
  expectAttached(name, value as Int32Array);
}

/** Rejects all but codes of one byte each, and returns them as bytes: the same memory. */
export function expectCodes(name: string, value: unknown): Uint8Array {
  const kind = typedArrayKind(value);
  if (kind !== 'Int8Array' && kind !== 'Uint8Array') throw wrongType(name, 'an Int8Array or a Uint8Array', value);
  const codes = value as Int8Array | Uint8Array;
  expectAttached(name, codes);
  return kind === 'Uint8Array' ? (codes as Uint8Array) : new Uint8Array(codes.buffer, codes.byteOffset, codes.length);
}

/** Rejects an array whose memory was transferred to another thread: it no longer has elements. */
function expectAttached(name: string, array: Float32Array | Float64Array | Int32Array | Uint8Array | Int8Array): void {
  if (array.length > 0) return;
  try {
    new Uint8Array(array.buffer);
  } catch {
    const message = `${name} is detached: its memory was transferred, perhaps to a worker`;
    throw new QuantpressError('ARGUMENT', message, { argument: name });
  }
}

/** Rejects all but an object. */
export function expectObject(name: string, value: unknown): asserts value is object {
  if (typeof value !== 'object' || value === null) throw wrongType(name, 'an object', value);
}

/** Rejects all but an object of a class. */
export function expectInstance<T>(
  name: string,
  Class: abstract new (...args: never[]) => T,
  value: unknown,
): asserts value is T {
  if (!(value instanceof Class)) throw wrongType(name, `of class ${Class.name}`, value);
}

/** Rejects all but an array. */
export function expectArray(name: string, value: unknown): asserts value is readonly unknown[] {
  if (!Array.isArray(value)) throw wrongType(name, 'an array', value);
}

/** Rejects all but a string. */
export function expectText(name: string, value: unknown): asserts value is string {
  if (typeof value !== 'string') throw wrongType(name, 'a string', value);
}

/** Rejects all but `true` and `false`. */
export function expectFlag(name: string, value: unknown): asserts value is boolean {
  if (typeof value !== 'boolean') throw wrongType(name, 'true or false', value);
}

/** Rejects all but a function. */
export function expectFunction(name: string, value: unknown): void {
  if (typeof value !== 'function') throw wrongType(name, 'a function', value);
}

/** The largest count of the engine: 2^32 - 1. */
const MAX_COUNT = 0xffff_ffff;

/** Rejects all but a whole number from `least` to `most`: the one check of every count, size, width and index. */
export function expectWhole(name: string, value: unknown, least: number, most: number): asserts value is number {
  const wanted = `a whole number from ${least} to ${most === Number.MAX_SAFE_INTEGER ? '2^53 - 1' : most}`;
  if (typeof value !== 'number') throw wrongType(name, wanted, value);
  if (!Number.isInteger(value) || value < least || value > most) throw outOfRange(name, value, wanted, { least, most });
}

/** Rejects all but a whole number from zero to 2^32 - 1, the engine's largest count. */
export function expectCount(name: string, value: unknown): asserts value is number {
  expectWhole(name, value, 0, MAX_COUNT);
}

/** Rejects all but an offset or a size: a whole number from zero to 2^53 - 1. */
export function expectOffset(name: string, value: unknown): asserts value is number {
  expectWhole(name, value, 0, Number.MAX_SAFE_INTEGER);
}

/** Rejects all but a finite number, which must also be finite in single precision if the engine uses that. */
export function expectNumber(name: string, value: unknown, single = false): asserts value is number {
  const wanted = single ? 'a finite number within the range of f32' : 'a finite number';
  if (typeof value !== 'number') throw wrongType(name, wanted, value);
  if (!Number.isFinite(single ? Math.fround(value) : value)) throw outOfRange(name, value, wanted, {});
}

/** Rejects all but the widths of integer codes, 2 to 8: the engine would see 258 as 2. */
export function expectBits(value: unknown, name = 'bits'): asserts value is number {
  expectWhole(name, value, 2, 8);
}

/** Rejects all but a shape: an array of counts. */
export function expectShape(value: unknown, name = 'shape'): asserts value is readonly number[] {
  if (!Array.isArray(value)) throw wrongType(name, 'an array of whole numbers', value);
  for (const [axis, extent] of value.entries()) expectCount(`${name}[${axis}]`, extent);
}

/** Rejects all but an optional seed: a whole number up to 2^53 - 1. */
export function expectSeed(value: unknown): asserts value is number | undefined {
  if (value !== undefined) expectOffset('seed', value);
}

/** Rejects all but one of some names. */
export function expectChoice<T extends string>(
  name: string,
  value: unknown,
  choices: readonly T[],
): asserts value is T {
  if ((choices as readonly unknown[]).includes(value)) return;
  const quoted = choices.map((choice) => `'${choice}'`);
  const wanted = quoted.length > 1 ? `${quoted.slice(0, -1).join(', ')} or ${quoted.at(-1)}` : quoted.join('');
  throw wrongType(name, wanted, value);
}

/** Units of sizes: powers of 1000, as for disks and in llama-gguf-split. */
const UNITS = ['', 'K', 'M', 'G', 'T'];

/** A size in bytes: a number, or a string such as `500MB`, `2G` or `1.5 GB`. */
export function readSize(name: string, value: unknown): number {
  if (typeof value !== 'string') {
    expectOffset(name, value);
    return value;
  }
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?) ?([KMGT]?)B?$/i.exec(value.trim()) ?? [];
  const size = Math.floor(Number(number) * 1000 ** UNITS.indexOf(unit.toUpperCase()));
  if (number !== undefined && Number.isSafeInteger(size)) return size;
  throw wrongType(name, 'a size such as 500MB or 2G', value);
}

/** Rejects another length than the one that is needed. */
export function expectLength(name: string, actual: number, expected: number): void {
  if (actual === expected) return;
  throw new QuantpressError('LENGTH', `${name} has length ${actual}; it must be ${expected}`, { actual, expected });
}

/** The error of a value of another type. */
export function wrongType(name: string, wanted: string, value: unknown): QuantpressError {
  const got = shown(value);
  return new QuantpressError('ARGUMENT', `${name} is ${got}, and must be ${wanted}`, { argument: name, got });
}

/** The error of a number that is out of bounds. */
function outOfRange(
  name: string,
  value: number,
  wanted: string,
  { least, most }: { least?: number; most?: number },
): QuantpressError {
  return new QuantpressError('RANGE', `${name} is ${value}, and must be ${wanted}`, {
    argument: name,
    // The last part of the name: `axis` of `granularity.axis`.
    [name.replace(/^.*\./, '')]: value,
    ...(least !== undefined && { minimum: least, maximum: most }),
  });
}

/** A value in a message; an object is shown by its class. */
function shown(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return `'${value.length > 60 ? `${value.slice(0, 60)}...` : value}'`;
    case 'bigint':
      return `the BigInt ${String(value).slice(0, 60)}`;
    case 'symbol':
      return 'a symbol';
    case 'function':
      return 'a function';
    case 'object': {
      if (value === null) return 'null';
      const name: unknown = value.constructor?.name;
      if (typeof name !== 'string' || name === '' || name === 'Object') return 'an object';
      return `${/^[AEIOU]/.test(name) ? 'an' : 'a'} ${name}`;
    }
    default:
      return String(value);
  }
}
