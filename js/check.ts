/** Checks of arguments that the engine never sees in their own type: numbers become integers on the way, silently. */

import { QuantpressError } from './error.js';

/** Refuses all but a `Float32Array`. */
export function expectFloats(name: string, value: unknown): asserts value is Float32Array {
  if (!(value instanceof Float32Array)) throw wrongType(name, 'a Float32Array', value);
  expectAttached(name, value);
}

/** Refuses all but a `Uint8Array`. */
export function expectBytes(name: string, value: unknown): asserts value is Uint8Array {
  if (!(value instanceof Uint8Array)) throw wrongType(name, 'a Uint8Array', value);
  expectAttached(name, value);
}

/** Refuses all but codes of one byte each, and gives them as bytes: the same memory. */
export function expectCodes(name: string, value: unknown): Uint8Array {
  if (!(value instanceof Int8Array || value instanceof Uint8Array)) {
    throw wrongType(name, 'an Int8Array or a Uint8Array', value);
  }
  expectAttached(name, value);
  if (value instanceof Uint8Array) return value;
  return new Uint8Array(value.buffer, value.byteOffset, value.length);
}

/** Refuses an array whose memory went to another thread: it has no elements any more, and says no word of it. */
function expectAttached(name: string, array: Float32Array | Uint8Array | Int8Array): void {
  if (array.length > 0) return;
  try {
    new Uint8Array(array.buffer);
  } catch {
    const message = `${name} is detached: its memory was transferred, to a worker perhaps`;
    throw new QuantpressError('ARGUMENT', message, { argument: name });
  }
}

/** Refuses all but an object. */
export function expectObject(name: string, value: unknown): asserts value is object {
  if (typeof value !== 'object' || value === null) throw wrongType(name, 'an object', value);
}

/** Refuses all but an object of a class. */
export function expectInstance<T>(
  name: string,
  Class: abstract new (...args: never[]) => T,
  value: unknown,
): asserts value is T {
  if (!(value instanceof Class)) throw wrongType(name, `of class ${Class.name}`, value);
}

/** Refuses all but an offset or a size: a whole number from zero to 2^53 - 1. */
export function expectOffset(name: string, value: unknown): asserts value is number {
  if (typeof value !== 'number') throw wrongType(name, 'a whole number', value);
  if (!Number.isSafeInteger(value) || value < 0) {
    const message = `${name} is ${value}, but has to be a whole number from 0 to 2^53 - 1`;
    throw new QuantpressError('RANGE', message, { [name]: value });
  }
}

/** Refuses all but an array. */
export function expectArray(name: string, value: unknown): asserts value is readonly unknown[] {
  if (!Array.isArray(value)) throw wrongType(name, 'an array', value);
}

/** Refuses all but a string. */
export function expectText(name: string, value: unknown): asserts value is string {
  if (typeof value !== 'string') throw wrongType(name, 'a string', value);
}

/** Refuses all but a whole number from zero to 2^32 - 1, which is as far as the engine counts. */
export function expectCount(name: string, value: unknown): asserts value is number {
  if (typeof value !== 'number') throw wrongType(name, 'a whole number', value);
  if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff) {
    throw new QuantpressError('RANGE', `${name} is ${value}, but has to be a whole number from 0 to 4294967295`, {
      [name]: value,
    });
  }
}

/** Refuses all but a number. */
export function expectNumber(name: string, value: unknown): asserts value is number {
  if (typeof value !== 'number') throw wrongType(name, 'a number', value);
}

/** Refuses all but bits that integer codes can have, 2 to 8: the engine would see 258 as 2. */
export function expectBits(value: unknown): asserts value is number {
  expectNumber('bits', value);
  if (!Number.isInteger(value) || value < 2 || value > 8) {
    throw new QuantpressError('RANGE', `bits is ${value}, and must be from 2 to 8`, { bits: value });
  }
}

/** Refuses all but a shape: an array of counts. */
export function expectShape(value: unknown): asserts value is readonly number[] {
  if (!Array.isArray(value)) throw wrongType('shape', 'an array of whole numbers', value);
  for (const n of value) expectCount('shape', n);
}

/** Refuses all but a seed, which may be left out: a whole number up to 2^53 - 1. */
export function expectSeed(value: unknown): asserts value is number | undefined {
  if (value === undefined) return;
  expectNumber('seed', value);
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new QuantpressError('RANGE', `seed is ${value}, and must be a whole number from 0 to 2^53 - 1`, {
      seed: value,
    });
  }
}

/** Units of sizes: of 1000, as disks and llama-gguf-split have them. */
const UNITS = ['', 'K', 'M', 'G', 'T'];

/** A size in bytes: a number, or a text such as `500MB`, `2G` or `1.5 GB`. */
export function readSize(name: string, value: unknown): number {
  if (typeof value !== 'string') {
    expectOffset(name, value);
    return value;
  }
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?) ?([KMGT]?)B?$/i.exec(value.trim()) ?? [];
  const size = Math.floor(Number(number) * 1000 ** UNITS.indexOf(unit.toUpperCase()));
  if (number !== undefined && Number.isSafeInteger(size)) return size;
  const message = `${name} is '${value}', and has to be a size such as 500MB or 2G`;
  throw new QuantpressError('ARGUMENT', message, { [name]: value });
}

function wrongType(name: string, wanted: string, value: unknown): QuantpressError {
  const got =
    value === null ? 'null' : typeof value === 'object' ? (value.constructor?.name ?? 'an object') : typeof value;
  return new QuantpressError('ARGUMENT', `${name} has to be ${wanted}, not ${got}`, { argument: name, got });
}
