/** Sums of errors, merged tile by tile, and the resulting figures. `src/analysis/distortion.rs` computes them. */

import { Columns } from '../engine/columns.js';
import { call } from '../engine/wasm.js';
import { expectArray, expectObject, expectOffset, wrongType } from '../engine/check.js';

/** The error of a tensor; `x` is a weight, `y` its decoded value, `e = y - x`, `w` the importance of its column. */
export interface ErrorFigures {
  /** `sqrt(mean e^2)`, in the unit of the weights. */
  rmse: number;
  /**
   * The weight error (RMS, relative) of the tensor, `sqrt(sum e^2 / sum x^2)`: a fraction that may exceed 1. {@link
   * weightError} is that of a file.
   */
  relativeRmse: number;
  /** Signal to quantization noise, `10 log10(sum x^2 / sum e^2)` dB; `Infinity` only if nothing changed. */
  sqnrDb: number;
  /** `sum x y / sqrt(sum x^2 sum y^2)`; 1 if both are all zeros, 0 if one is. */
  cosineSimilarity: number;
  /** The largest `|e|`. */
  maxError: number;
  /** `sqrt(sum w e^2 / sum w x^2)`: {@link relativeRmse} weighted by importance; only with an importance matrix. */
  weightedError?: number;
}

/** The sums of some weights, in the order of the engine's `DistortionSums`. */
export type DistortionSums = Float64Array<ArrayBuffer>;

/**
 * The figures of a tensor from the sums of its tiles, in order; `undefined` if nothing changed. `weighted` if there was
 * importance.
 */
export function errorFigures(tiles: readonly DistortionSums[], weighted: boolean): ErrorFigures {
  const sums = new Float64Array(tiles.reduce((length, tile) => length + tile.length, 0));
  let at = 0;
  for (const tile of tiles) {
    sums.set(tile, at);
    at += tile.length;
  }
  return figuresOf(new Columns([[], call((engine) => engine.errorFigures(sums, weighted))]));
}

/** Reads the engine's figures: in order, and last whether the weighted error was measured. */
export function figuresOf(columns: { number(): number }): ErrorFigures {
  const [rmse, relativeRmse, sqnrDb] = [columns.number(), columns.number(), columns.number()];
  const [cosineSimilarity, maxError, weightedError] = [columns.number(), columns.number(), columns.number()];
  const weighted = columns.number();
  // Not spread: that would double the size of the object.
  if (weighted === 0) return { rmse, relativeRmse, sqnrDb, cosineSimilarity, maxError };
  return { rmse, relativeRmse, sqnrDb, cosineSimilarity, maxError, weightedError };
}

/**
 * Returns the weight error (RMS, relative) of a whole file: `sqrt(sum n r^2 / sum n)` over its tensors, where `n` is a
 * tensor's number of weights and `r` its {@link ErrorFigures.relativeRmse}; a tensor that is copied has 0. The page,
 * `quantpress analyze`, `diff`, `quantize --report` and the best mix show this number as "weight error".
 *
 * Tensors whose error is unknown (`undefined`) count as the mean square of those that have one above 0; if there are
 * none, the result is `undefined`. Without any weights it is 0. The importance of columns is not used.
 *
 * @throws A `QuantpressError` `ARGUMENT` or `RANGE` for other values, `NOT_READY` before `init()`.
 * @example
 * ```ts
 * const error = weightError([{ weights: 4096, relativeRmse: 0.07 }, { weights: 64, relativeRmse: 0 }]);
 * ```
 */
export function weightError(
  tensors: readonly { readonly weights: number; readonly relativeRmse: number | undefined }[],
): number | undefined {
  expectArray('tensors', tensors);
  const numbers = new Float64Array(2 * tensors.length);
  for (const [index, tensor] of tensors.entries()) {
    expectObject('a tensor', tensor);
    const { weights, relativeRmse } = tensor;
    expectOffset('weights', weights);
    // Infinite for an all-zero tensor that is not zero afterwards.
    if (relativeRmse !== undefined && !(typeof relativeRmse === 'number' && relativeRmse >= 0))
      throw wrongType('relativeRmse', 'a number from 0 up, or undefined', relativeRmse);
    numbers[2 * index] = weights;
    numbers[2 * index + 1] = relativeRmse ?? Number.NaN;
  }
  return call((engine) => engine.weightError(numbers));
}
