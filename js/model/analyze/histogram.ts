/** The distribution of the weights of one tensor and of the errors of a format. */

import { sampleOf } from './analyze.js';
import { runSteps } from './steps.js';
import { analyzedTensors, columnsOf } from './tensors.js';
import { release } from '../../engine/dispose.js';
import type { HistogramsJob } from '../../engine/model-bindings.js';
import type { Histogram } from '../../numerics/histogram.js';
import { expectInstance, expectText } from '../../engine/check.js';
import type { FormatName } from '../../numerics/format.js';
import { openImportance, type ImportanceInput } from '../importance.js';
import { Model } from '../model.js';
import { count, readOptions, signal as signalReader, text, unchecked, type ReaderTable } from '../../engine/options.js';
import { createRunner, RUNNER_OPTIONS, type RunnerOptions } from '../../pool/pool.js';
import { callModel } from '../../engine/model.js';
import { compiledModule } from '../../engine/wasm.js';

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
 * The rows are read twice: for the range, then to count. Memory does not grow with the tensor.
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
  const sample = sampleOf(given.sample);
  const matrix = given.imatrix === undefined ? undefined : await openImportance(given.imatrix);
  let job: HistogramsJob | undefined;
  try {
    const [texts, numbers] = columnsOf([tensor]);
    const made = callModel((e) => new e.HistogramsJob(texts, numbers, format, bins, sample, matrix?.matrix));
    job = made;
    const runner = createRunner(model.source, compiledModule(), { ...given, workers: given.workers ?? 1 });
    await runSteps(made, runner, signal, () => {});
    job = undefined;
    const { sampled, weights, errors } = callModel(() => made.finish()) as TensorHistogram;
    return { sampled, weights, ...(errors && { errors }) };
  } finally {
    if (job) release(job, callModel);
    if (matrix !== given.imatrix) matrix?.free();
  }
}
