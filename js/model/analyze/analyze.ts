/** Measures the error of every format on a sample of the rows of every tensor; `src/job/analysis/` decides which. */

import { runSteps } from './steps.js';
import { analyzedTensors, columnsOf } from './tensors.js';
import type { ModelAnalysisJob } from '../../engine/model-bindings.js';
import { expectInstance, expectWhole } from '../../engine/check.js';
import { Columns, tensorsOf, type ColumnArrays } from '../../engine/columns.js';
import { release } from '../../engine/dispose.js';
import { breathe } from '../../engine/platform.js';
import type { ErrorCode } from '../../engine/error.js';
import { figuresOf, type ErrorFigures } from '../../numerics/distortion.js';
import type { FormatName } from '../../numerics/format.js';
import { openImportance, type ImportanceInput } from '../importance.js';
import { Model, type SourceType } from '../model.js';
import {
  callback,
  readOptions,
  signal as signalReader,
  texts,
  unchecked,
  type ReaderTable,
} from '../../engine/options.js';
import { createRunner, RUNNER_OPTIONS, type Runner, type RunnerOptions } from '../../pool/pool.js';
import { compiledModule } from '../../engine/wasm.js';
import { callModel } from '../../engine/model.js';

/** Options of {@link analyzeModel}. */
export interface AnalyzeModelOptions extends RunnerOptions {
  /** The formats to try; by default F16, BF16 and every block format that can be written. */
  formats?: readonly FormatName[] | undefined;
  /**
   * The number of weights to sample per tensor, in up to 16 strata of rows spread over it; 262144 by default, or the
   * whole tensor if it is smaller. Formats that encode slowly (IQ) are tried on one of eight strata; with `'all'` every
   * format is measured on every weight.
   */
  sample?: number | 'all' | undefined;
  /** The names of the tensors to analyze, as in plans; all by default. */
  tensors?: readonly string[] | undefined;
  /** The importance matrix: formats are tried with it, and {@link ErrorFigures.weightedError} is measured. */
  imatrix?: ImportanceInput | undefined;
  /** Stops the work at once. */
  signal?: AbortSignal | undefined;
  /** Called after every step. */
  onProgress?: ((progress: AnalyzeProgress) => void) | undefined;
}

const OPTIONS: ReaderTable<AnalyzeModelOptions> = {
  ...RUNNER_OPTIONS,
  formats: texts,
  sample: unchecked,
  tensors: texts,
  imatrix: unchecked,
  signal: signalReader,
  onProgress: callback,
};

/** The argument of `onProgress` of {@link analyzeModel}. */
export interface AnalyzeProgress {
  /** The tensor the last step was of. */
  tensor: string;
  /** The steps done, and their total. */
  done: number;
  total: number;
  /** The tensor's analysis, if this step was its last. */
  finished?: TensorAnalysis;
}

/** The result of {@link analyzeModel}. It is plain data and can be stored as JSON. */
export interface ModelAnalysis {
  /** The tensors, in the order of the file; of a safetensors model, in the order of the GGUF file it is converted to. */
  tensors: TensorAnalysis[];
}

/** One tensor under all formats. */
export interface TensorAnalysis {
  /** Its name in plans (`sourceName`): GGUF's name if a safetensors model is converted. */
  name: string;
  /** Its stored type. */
  type: SourceType;
  shape: readonly number[];
  /** The number of its weights, and its stored bytes. */
  weights: number;
  bytes: number;
  /** The number of sampled weights; 0 for tensors that are not quantized (one-dimensional or integer). */
  sampled: number;
  /** One entry per format, in the requested order; none if nothing was sampled. */
  formats: FormatAnalysis[];
}

/** One format on one tensor: its size and error, or the reason why it is impossible. */
export type FormatAnalysis = FormatError | FormatRefusal;

/** The size and error of a format on a tensor. */
export interface FormatError extends ErrorFigures {
  format: FormatName;
  /** Bytes of the whole tensor in this format. */
  bytes: number;
  bitsPerWeight: number;
  /** The number of weights it was measured on. */
  sampled: number;
  refusal?: undefined;
}

/** A format that a tensor cannot have. */
export interface FormatRefusal {
  format: FormatName;
  /** The code and message of the error that encoding fails with. */
  refusal: { code: ErrorCode; message: string };
}

/**
 * Measures the size and error of every format on every tensor of a model. It uses a pool of workers and a sample of
 * rows, so that a model of gigabytes takes seconds. The same model and options give the same figures, whatever the
 * number of workers. For a safetensors model, the tensors are those of its conversion to GGUF, under the names in
 * plans; a model that cannot be converted keeps its own names.
 *
 * @throws {@link QuantpressError} `UNKNOWN_NAME` for a format, `RANGE` for a sample, `LENGTH` for importance that does not fit
 * a tensor, and errors of reading. A format that a tensor cannot have is a result, see {@link FormatRefusal}.
 * @example
 * ```ts
 * const { tensors } = await analyzeModel(model, { formats: ['Q4_K', 'Q6_K'] });
 * for (const { name, formats } of tensors) {
 *   for (const result of formats) if (!result.refusal) console.log(name, result.format, result.sqnrDb);
 * }
 * ```
 */
export async function analyzeModel(model: Model, options: AnalyzeModelOptions = {}): Promise<ModelAnalysis> {
  expectInstance('model', Model, model);
  const given = readOptions('analyzeModel', OPTIONS, options);
  const sample = sampleOf(given.sample);
  given.signal?.throwIfAborted();
  const importance = given.imatrix === undefined ? undefined : await openImportance(given.imatrix);
  let job: ModelAnalysisJob | undefined;
  try {
    const [formats, tensors] = [given.formats, given.tensors].map((names) => names && [...names]);
    const made = callModel((e) => new e.ModelAnalysisJob(formats, sample, tensors, importance?.matrix));
    job = made;
    const all = await analyzedTensors(model);
    for (let at = 0; at < all.length; at += PREPARED) {
      if (at > 0) await breathe();
      callModel(() => made.add(...columnsOf(all.slice(at, at + PREPARED))));
    }
    callModel(() => made.checkNames());
    given.signal?.throwIfAborted();
    await run(made, createRunner(model.source, compiledModule(), given), given);
    await model.source.check?.();
    return { tensors: await tensorsOf(made, analysisOf, READ) };
  } finally {
    if (job) release(job, callModel);
    if (importance !== given.imatrix) importance?.free();
  }
}

/** Tensors that are prepared at once, and whose results are read at once: a few milliseconds. */
const PREPARED = 256;
const READ = 128;

async function run(job: ModelAnalysisJob, runner: Runner, { signal, onProgress }: AnalyzeModelOptions): Promise<void> {
  const { total } = job;
  let done = 0;
  await runSteps(job, runner, signal, (stratum) => {
    if (!stratum) return;
    done += 1;
    const { index, tensor, finished } = stratum;
    if (!onProgress) return;
    const result = finished && analysisOf(new Columns(callModel(() => job.tensors(index, index + 1)) as ColumnArrays));
    onProgress({ tensor, done, total, ...(result && { finished: result }) });
  });
}

/** One tensor of the engine's analysis. */
function analysisOf(columns: Columns): TensorAnalysis {
  const [name, type, shape] = [columns.text(), columns.text() as SourceType, columns.list()];
  const [weights, bytes, sampled] = [columns.number(), columns.number(), columns.number()];
  const formats = Array.from({ length: columns.number() }, () => formatOf(columns));
  return { name, type, shape, weights, bytes, sampled, formats };
}

function formatOf(columns: Columns): FormatAnalysis {
  const format = columns.text() as FormatName;
  if (columns.number() !== 0) {
    return { format, refusal: { code: columns.text() as ErrorCode, message: columns.text() } };
  }
  const [bytes, bitsPerWeight, sampled] = [columns.number(), columns.number(), columns.number()];
  return { format, bytes, bitsPerWeight, sampled, ...figuresOf(columns) };
}

/** @internal How many weights of each tensor to look at: `undefined` for the engine's own number. */
export function sampleOf(sample: number | 'all' | undefined): number | undefined {
  if (sample === 'all') return Infinity;
  if (sample !== undefined) expectWhole('sample', sample, 1, Number.MAX_SAFE_INTEGER);
  return sample;
}
