/** The presets that no other beats in both size and error, from the smallest. */
export function frontier<T extends { size: number; error: number; refused?: boolean }>(points: readonly T[]): T[] {
  const sorted = points.filter(({ refused }) => !refused).sort((a, b) => a.size - b.size || a.error - b.error);
  let least = Number.POSITIVE_INFINITY;
  return sorted.filter(({ error }) => {
    const better = error < least;
    if (better) least = error;
    return better;
  });
}

/** The preset with the least error within a number of bytes; the smallest if all are larger. */
export function bestWithin<T extends { size: number; error: number; refused?: boolean }>(
  points: readonly T[],
  size: number,
): T | undefined {
  const best = frontier(points);
  return best.findLast((point) => point.size <= size) ?? best[0];
}
