/** Errors computed plainly, to compare with the engine's sums. */

import { expect } from 'vitest';

/** The figures straight from their formulas, over all weights at once. */
export function figures(x: Float32Array, y: Float32Array, columns: number, importance?: Float32Array) {
  const sums = { ee: 0, xx: 0, yy: 0, xy: 0, wee: 0, wxx: 0, max: 0 };
  x.forEach((a, i) => {
    const b = y[i] ?? Number.NaN;
    const w = importance?.[i % columns] ?? 0;
    sums.ee += (b - a) ** 2;
    sums.xx += a * a;
    sums.yy += b * b;
    sums.xy += a * b;
    sums.wee += w * (b - a) ** 2;
    sums.wxx += w * a * a;
    sums.max = Math.max(sums.max, Math.abs(b - a));
  });
  return {
    rmse: Math.sqrt(sums.ee / x.length),
    relativeRmse: Math.sqrt(sums.ee / sums.xx),
    sqnrDb: 10 * Math.log10(sums.xx / sums.ee),
    cosineSimilarity: sums.xy / Math.sqrt(sums.xx * sums.yy),
    maxError: sums.max,
    ...(importance && { weightedError: Math.sqrt(sums.wee / sums.wxx) }),
  };
}

/** Equal except for the order of summation. */
export function expectFigures(result: object, expected: Record<string, number>): void {
  for (const [name, value] of Object.entries(expected)) {
    const actual = (result as Record<string, number>)[name] ?? Number.NaN;
    expect(Math.abs(actual - value) / value, name).toBeLessThan(1e-11);
  }
}
