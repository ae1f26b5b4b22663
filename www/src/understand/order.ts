/** Sorts lists of hundreds of thousands of rows in pieces, so that the page stays responsive. */

import type { Pieces } from '../state/derived.js';

/** Keys between two pauses. */
const PIECE = 8192;

/** Bits of a key that one pass sorts by. */
const DIGIT = 16;

/**
 * Returns the indices of the keys in descending order, stably. Keys are compared as F32, which is precise enough for a
 * chart or a table. Negative keys count as 0.
 */
export function* descendingKeys(keys: Float64Array): Pieces<Uint32Array> {
  const floats = new Float32Array(keys.length);
  const bits = new Uint32Array(floats.buffer);
  // For every digit, the number of keys with each of its values.
  const counts = [new Uint32Array(2 ** DIGIT), new Uint32Array(2 ** DIGIT)] as const;
  for (let place = 0; place < keys.length; place++) {
    floats[place] = Math.max(0, keys[place] ?? 0);
    // Non-negative floats are ordered like their bits; complemented, they are in descending order.
    const key = ~(bits[place] ?? 0) >>> 0;
    bits[place] = key;
    add(counts[0], digitOf(key, 0));
    add(counts[1], digitOf(key, 1));
    if (place % PIECE === PIECE - 1) yield;
  }
  let places = new Uint32Array(keys.length);
  for (let place = 0; place < places.length; place++) places[place] = place;
  for (const [digit, count] of counts.entries()) {
    yield;
    const starts = startsOf(count);
    const sorted = new Uint32Array(keys.length);
    for (let at = 0; at < places.length; at++) {
      const place = places[at] ?? 0;
      sorted[add(starts, digitOf(bits[place] ?? 0, digit))] = place;
      if (at % PIECE === PIECE - 1) yield;
    }
    places = sorted;
  }
  return places;
}

function digitOf(key: number, digit: number): number {
  return (key >>> (digit * DIGIT)) & (2 ** DIGIT - 1);
}

/** Increments a count, and returns its previous value. */
function add(counts: Uint32Array, value: number): number {
  const before = counts[value] ?? 0;
  counts[value] = before + 1;
  return before;
}

/** The index at which the keys of each value begin. */
function startsOf(counts: Uint32Array): Uint32Array {
  const starts = new Uint32Array(counts.length);
  for (let value = 1; value < counts.length; value++) {
    starts[value] = (starts[value - 1] ?? 0) + (counts[value - 1] ?? 0);
  }
  return starts;
}
