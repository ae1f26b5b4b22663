/** Sorts lists of hundreds of thousands of rows without a noticeable pause. */

/** The maximum number of rows: more than any file has tensors. */
const PLACES = 2 ** 20;

/**
 * Returns the indices of the keys in descending order, stably. Keys are compared as F32, which is precise enough for a
 * chart or a table. Negative keys count as 0.
 */
export function descendingKeys(keys: Float64Array): Uint32Array {
  if (keys.length > PLACES) return Uint32Array.from(keys.keys()).sort((a, b) => (keys[b] ?? 0) - (keys[a] ?? 0));
  const floats = Float32Array.from(keys, (key) => Math.max(0, key));
  const bits = new Uint32Array(floats.buffer);
  // Non-negative floats are ordered like their bits, and native sorting of numbers needs no comparator.
  const sorted = new Float64Array(keys.length);
  for (let place = 0; place < sorted.length; place++) sorted[place] = -(bits[place] ?? 0) * PLACES + place;
  sorted.sort();
  const places = new Uint32Array(keys.length);
  for (let at = 0; at < places.length; at++) places[at] = (((sorted[at] ?? 0) % PLACES) + PLACES) % PLACES;
  return places;
}
