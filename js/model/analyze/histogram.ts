/** The distribution of the weights of one tensor and of the errors of a format. */

import { importanceOf, sampleOf } from './analyze.js';
import { rangesOf, strataOf } from './sample.js';
import { analyzedTensors } from './tensors.js';
import { errorHistogram, histogram, type Histogram } from '../../numerics/analysis.js';
import { expectInstance, expectText } from '../../engine/check.js';
import type { FormatName } from '../../numerics/format.js';
import { openImportance, type ImportanceInput } from '../importance.js';
import { Model } from '../model.js';
import { inLanes } from '../../pool/concurrent.js';
import { count, readOptions, signal as signalReader, text, unchecked, type ReaderTable } from '../../engine/options.js';
import { createRunner, RUNNER_OPTIONS, type RunnerOptions } from '../../pool/pool.js';
import { compiledModule } from '../../engine/wasm.js';
import type { Results } from '../../pool/protocol.js';

/** Options of {@link tensorHistogram}. */
export interface TensorHistogramOptions extends RunnerOptions {
  /** The number of bins, 64 by default. */
  bins?: number | undefined;
  /** A format whose errors are counted too. */
  format?: FormatName | undefined;
  /** As of `analyzeModel`. */
  sample?: number | 'all' | undefined;
  /** The importance matrix, for the format. */
  imatrix?: ImportanceInput | undefined;
  /** Stops the work. */
  signal?: AbortSignal | undefined;
}

const OPTIONS: ReaderTable<TensorHistogramOptions> = {
  ...RUNNER_OPTIONS,
  bins: count,
  format: text,
  sample: unchecked,
  imatrix: unchecked,
  signal: signalReader,
};

/** The result of {@link tensorHistogram}. */
export interface TensorHistogram {
  /** The number of sampled weights. */
  sampled: number;
  /** The weights, from the smallest to the largest. */
  weights: Histogram;
  /** With a format: the decoded value minus the original, from minus the largest absolute error to plus it. */
  errors?: Histogram;
}

/**
 * The histogram of a tensor's weights and of the errors of a format, over the same sample of rows as `analyzeModel`.
 *
 * @param name - The tensor's name, in the analysis or in the file.
 * @throws {@link QuantpressError} `UNKNOWN_NAME` for a tensor or a format, `NO_DATA` for a tensor without weights,
 * `NON_FINITE`, `RANGE` for bins or a sample, the error of the format, and errors of reading.
 */
export async function tensorHistogram(
  model: Model,
  name: string,
  options: TensorHistogramOptions = {},
): Promise<TensorHistogram> {
  expectInstance('model', Model, model);
  const given = readOptions('tensorHistogram', OPTIONS, options);
  const { bins = 64, format, signal } = given;
  expectText('name', name);
  const tensor = (await analyzedTensors(model)).find((known) => known.name === name) ?? model.tensor(name);
  const strata = strataOf(tensor, sampleOf(given.sample));
  const matrix = given.imatrix === undefined ? undefined : await openImportance(given.imatrix);
  const parts: Results['roundTrip'][] = [];
  try {
    const values = importanceOf(tensor, matrix);
    const runner = createRunner(model.source, compiledModule(), { ...given, workers: given.workers ?? 1 });
    await inLanes(runner, strata.entries(), signal, async ([index, stratum], signal) => {
      const { columns, column, matrix } = stratum;
      const input = rangesOf(stratum);
      const start = matrix * (tensor.shape[0] ?? 0) + column;
      const importance = values?.slice(start, start + columns);
      const task = { kind: 'roundTrip', input, from: tensor.type, to: format, columns, importance } as const;
      parts[index] = await runner.run(task, signal);
    });
  } finally {
    if (matrix !== given.imatrix) matrix?.free();
  }
  const original = joined(parts.map((part) => part.original));
  const decoded = joined(parts.flatMap((part) => part.decoded ?? []));
  return {
    sampled: original.length,
    weights: histogram(original, bins),
    ...(format && { errors: errorHistogram(original, decoded, bins) }),
  };
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
