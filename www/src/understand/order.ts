/** Sorting lists of hundreds of thousands of rows without a pause that can be noticed. */

/** Places in a list that a key can be told from: more rows than any file has tensors. */
const PLACES = 2 ** 20;

/**
 * Returns the items by `keyOf`, the largest first; those of one key in their order. Keys are compared as F32, which a chart or
 * a table cannot show more of. Negative keys count as 0.
 */
export function descending<T>(items: readonly T[], keyOf: (item: T) => number): T[] {
  if (items.length > PLACES) return [...items].sort((a, b) => keyOf(b) - keyOf(a));
  const [float, bits] = views();
  // The bits of floats that are not negative are in the order of the floats. Native sorting of numbers needs no comparator.
  const keys = Float64Array.from(items, (item, index) => {
    float[0] = Math.max(0, keyOf(item));
    return -(bits[0] ?? 0) * PLACES + index;
  }).sort();
  return Array.from(keys, (key) => items[((key % PLACES) + PLACES) % PLACES] as T);
}

function views(): [Float32Array, Uint32Array] {
  const float = new Float32Array(1);
  return [float, new Uint32Array(float.buffer)];
}
