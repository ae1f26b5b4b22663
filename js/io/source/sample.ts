/** Samples a few ranges of a source to detect changes later, for sources that have no other way. */

import { xxh64 } from '../../engine/hash.js';
import { readExactly, type Source } from './source.js';

/** The default number of ranges, spread evenly from the first byte, where the header is, to the last. */
const RANGES = 8;
/** The bytes of each range. */
const LENGTH = 4096;
/** The number of concurrent reads. */
const AT_ONCE = 4;

/** The bytes of the ranges at the time of the sample. */
export class Sample {
  readonly #parts: readonly Uint8Array[];

  private constructor(parts: readonly Uint8Array[]) {
    this.#parts = parts;
  }

  /** Reads the ranges, which depend only on the size and on `count`. */
  static async take(source: Source, signal?: AbortSignal, count = RANGES): Promise<Sample> {
    const parts: Uint8Array[] = [];
    const ranges = rangesOf(source.size, count);
    for (let at = 0; at < ranges.length; at += AT_ONCE) {
      const group = ranges.slice(at, at + AT_ONCE);
      parts.push(...(await Promise.all(group.map(([from, to]) => readExactly(source, from, to - from, signal)))));
    }
    return new Sample(parts);
  }

  /** XXH64 of the bytes, in hexadecimal. */
  hash(): string {
    const hash = xxh64();
    for (const part of this.#parts) hash.update(part);
    return hash.hex();
  }

  /** Whether another sample of a source of the same size has the same bytes. */
  equals(other: Sample): boolean {
    return this.#parts.every((part, index) => {
      const bytes = other.#parts[index];
      return bytes?.length === part.length && part.every((byte, at) => byte === bytes[at]);
    });
  }
}

function rangesOf(size: number, count: number): [from: number, to: number][] {
  if (size <= count * LENGTH) return [[0, size]];
  return Array.from({ length: count }, (_, index) => {
    const from = Math.floor((index * (size - LENGTH)) / (count - 1));
    return [from, from + LENGTH];
  });
}
