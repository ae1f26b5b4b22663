/** Golden vectors: JSON with arrays as base64, the same files the Rust tests read. */

import { readFileSync } from 'node:fs';

/** An array in the form of the files. */
export interface Packed {
  dtype: 'float32' | 'uint8' | 'int32';
  shape: number[];
  base64: string;
}

/** A golden file under `tests/golden`. */
export function golden<T>(name: string): T {
  return JSON.parse(readFileSync(`tests/golden/${name}`, 'utf8')) as T;
}

/** The bytes of a base64 string, also without `Buffer`. */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

const buffer = ({ base64 }: Packed): ArrayBuffer => fromBase64(base64).buffer;

/** Bytes of a packed array. */
export const bytes = (packed: Packed): Uint8Array => new Uint8Array(buffer(packed));

/** Floats of a packed array. */
export const floats = (packed: Packed): Float32Array => new Float32Array(buffer(packed));

/** Integers of a packed array. */
export const integers = (packed: Packed): Int32Array => new Int32Array(buffer(packed));

/** Floats as bits, so that -0 differs from 0 and every bit is compared. */
export const bits = (values: Float32Array): Uint32Array => new Uint32Array(values.slice().buffer);
