/** Histograms of values and errors: `src/analysis/histogram.rs` for JavaScript. */

import { expectCount, expectFloats } from '../engine/check.js';
import { call } from '../engine/wasm.js';

/** Counts of values in equal bins; the last bin includes its upper edge. */
export interface Histogram {
  /** Lower edge of the first bin. */
  min: number;
  /** Upper edge of the last bin. */
  max: number;
  /** Values per bin. */
  counts: number[];
  /** Values below `min`. */
  below: number;
  /** Values above `max`. */
  above: number;
}

/** The histogram of values from the smallest to the largest. */
export function histogram(values: Float32Array, bins = 64): Histogram {
  expectFloats('values', values);
  expectCount('bins', bins);
  return call((engine) => engine.histogram(values, bins)) as Histogram;
}

/** The histogram of `decoded - original`, from minus the largest absolute error to plus it. */
export function errorHistogram(original: Float32Array, decoded: Float32Array, bins = 64): Histogram {
  expectFloats('original', original);
  expectFloats('decoded', decoded);
  expectCount('bins', bins);
  return call((engine) => engine.errorHistogram(original, decoded, bins)) as Histogram;
}
