/** Measures the error of every format on a sample of the rows of every tensor; nothing is written. */

import { rangesOf, strataOf, type Stratum } from './sample.js';
import { analyzedTensors, type AnalyzedTensor } from './tensors.js';
import { expectArray, expectInstance, expectText, expectWhole } from '../../engine/check.js';
import { QuantpressError, type ErrorCode } from '../../engine/error.js';
import { errorFigures, type ErrorFigures, type ErrorSums } from '../../numerics/distortion.js';
import { formats, type Format, type FormatName } from '../../numerics/format.js';
import { openImportance, type Importance, type ImportanceInput } from '../importance.js';
import { formatOf, Model, type SourceType, type TensorInfo } from '../model.js';
import { inLanes } from '../../pool/concurrent.js';
import {
  callback,
  readOptions,
  signal as signalReader,
  texts,
  unchecked,
  type ReaderTable,
} from '../../engine/options.js';
import { createRunner, RUNNER_OPTIONS, type Runner, type RunnerOptions } from '../../pool/pool.js';
import { meanSquareOf, needsMeanSquare } from './long-rows.js';
import { breathe } from '../../engine/platform.js';
import { call, compiledModule } from '../../engine/wasm.js';
import type { Results } from '../../pool/protocol.js';

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

const SAMPLE = 1 << 18;

/** Tensors that are prepared, and names that are looked up, before other tasks of the thread have a turn. */
const JOBS = 256;
const NAMES = 8192;

/** Errors of the weights themselves, whatever the format. */
const OF_WEIGHTS = new Set<ErrorCode>(['NON_FINITE', 'INVALID_BLOCK']);

/** Types that can be converted. Integers are copied. */
const FLOATS = new Set<SourceType>(['F32', 'F16', 'BF16', 'F64', 'F8_E4M3', 'F8_E5M2']);

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
  const wanted = chosenFormats(given.formats);
  const budget = sampleOf(given.sample);
  given.signal?.throwIfAborted();
  const importance = given.imatrix === undefined ? undefined : await openImportance(given.imatrix);
  try {
    const tensors = await chosenTensors(await analyzedTensors(model), given.tensors);
    const quick = wanted.filter(({ name }) => !call((engine) => engine.isSlow(name)));
    const jobs: TensorJob[] = [];
    for (const [index, tensor] of tensors.entries()) {
      if (index % JOBS === JOBS - 1) await breathe();
      jobs.push(new TensorJob(tensor, wanted, quick, budget, importance));
    }
    given.signal?.throwIfAborted();
    await runJobs(createRunner(model.source, compiledModule(), given), jobs, given);
    await model.source.check?.();
    return { tensors: jobs.map((job) => job.result()) };
  } finally {
    if (importance !== given.imatrix) importance?.free();
  }
}

async function chosenTensors(
  all: readonly AnalyzedTensor[],
  names: readonly string[] | undefined,
): Promise<readonly AnalyzedTensor[]> {
  if (names === undefined) return all;
  expectArray('tensors', names);
  const wanted = new Set(names);
  const chosen: AnalyzedTensor[] = [];
  for (const [index, tensor] of all.entries()) {
    if (index % NAMES === NAMES - 1) await breathe();
    if (wanted.delete(tensor.name)) chosen.push(tensor);
  }
  const [unknown] = wanted;
  if (unknown === undefined) return chosen;
  expectText('a name of tensors', unknown);
  throw new QuantpressError('UNKNOWN_NAME', `the model has no tensor '${unknown}' to analyze`, { tensor: unknown });
}

async function runJobs(runner: Runner, jobs: TensorJob[], { signal, onProgress }: AnalyzeModelOptions): Promise<void> {
  const total = jobs.reduce((sum, { strata }) => sum + strata.length, 0);
  let done = 0;
  function* steps() {
    for (const job of jobs) for (const index of job.strata.keys()) yield { job, index };
  }
  await inLanes(runner, steps(), signal, async ({ job, index }, signal) => {
    await job.run(index, runner, signal);
    done += 1;
    onProgress?.({ tensor: job.tensor.name, done, total, ...(job.left === 0 && { finished: job.result() }) });
  });
}

/** One tensor: its strata and their results. */
class TensorJob {
  readonly tensor: AnalyzedTensor;
  readonly strata: Stratum[];
  /** Strata that are not done. */
  left: number;
  readonly #formats: readonly Format[];
  /** The formats that are tried on every stratum. */
  readonly #quick: readonly Format[];
  readonly #whole: boolean;
  readonly #importance: Importance | undefined;
  #weighted = false;
  /** The total over all strata. It is kept, because summing up thousands of tensors at once takes a second. */
  #result: TensorAnalysis | undefined;
  /** The mean square of the long row that was started last. */
  #mean: { offset: number; mean: Promise<number | undefined> } | undefined;
  readonly #results: Results['analyze'][] = [];

  constructor(
    tensor: AnalyzedTensor,
    wanted: readonly Format[],
    quick: readonly Format[],
    budget: number,
    importance: Importance | undefined,
  ) {
    this.tensor = tensor;
    this.strata = isQuantizable(tensor) ? strataOf(tensor, budget) : [];
    this.left = this.strata.length;
    this.#formats = wanted;
    this.#quick = quick;
    this.#whole = budget === Infinity;
    this.#importance = importance;
  }

  async run(index: number, runner: Runner, signal: AbortSignal): Promise<void> {
    const stratum = this.strata[index];
    if (!stratum) return;
    const { columns, column } = stratum;
    const input = rangesOf(stratum);
    const values = importanceOf(this.tensor, this.#importance);
    this.#weighted = values !== undefined;
    const start = stratum.matrix * (this.tensor.shape[0] ?? 0) + column;
    const importance = values?.slice(start, start + columns);
    const from = this.tensor.type;
    const names = this.#formatsOf(stratum).map(({ name }) => name);
    const meanSquare = importance && (await this.#meanSquare(stratum, runner, signal));
    const task = { kind: 'analyze', input, from, columns, formats: names, importance, meanSquare } as const;
    this.#results[index] = await runner.run(task, signal);
    this.left -= 1;
  }

  result(): TensorAnalysis {
    this.#result ??= this.#summed();
    return this.#result;
  }

  #summed(): TensorAnalysis {
    const { name, type, shape, bytes } = this.tensor;
    const weights = shape.reduce((product, n) => product * n, 1);
    const looked = this.strata.length > 0;
    return {
      name,
      type,
      shape,
      weights,
      bytes,
      sampled: this.strata.reduce((sum, { rows, columns }) => sum + rows * columns, 0),
      formats: looked ? this.#formats.map((format) => this.#resultOf(format, weights)) : [],
    };
  }

  #resultOf(format: Format, weights: number): FormatAnalysis {
    const tiles: ErrorSums[] = [];
    for (const [index, stratum] of this.strata.entries()) {
      const result = this.#results[index]?.[this.#formatsOf(stratum).indexOf(format)];
      if (result === undefined) continue;
      if (!(result instanceof Float64Array)) {
        return { format: format.name, refusal: { code: result.code, message: result.message } };
      }
      tiles.push(result);
    }
    return {
      format: format.name,
      bytes: (weights / format.weights) * format.bytes,
      bitsPerWeight: format.bitsPerWeight,
      sampled: tiles.reduce((sum, [weights = 0]) => sum + weights, 0),
      ...errorFigures(tiles, this.#weighted),
    };
  }

  /**
   * The mean square of the row that a stratum is a piece of, if a format needs it. Computing it needs the whole row, so
   * in a sample the piece is treated as the row.
   */
  async #meanSquare({ ranges, column, columns }: Stratum, runner: Runner, signal: AbortSignal) {
    const { shape, bytes, type } = this.tensor;
    const [rowLength = columns] = shape;
    if (!this.#whole || !this.#formats.some(({ name }) => needsMeanSquare(name, columns, rowLength))) return undefined;
    const rate = bytes / shape.reduce((product, n) => product * n, 1);
    const offset = (ranges[0]?.offset ?? 0) - column * rate;
    if (this.#mean?.offset !== offset) {
      const row = { from: type, offset, bytes: rowLength * rate, weights: rowLength };
      // Every format rejects non-finite weights, with a better message.
      const mean = meanSquareOf(row, runner, signal).catch((error: unknown) => {
        if (error instanceof QuantpressError && OF_WEIGHTS.has(error.code)) return undefined;
        throw error;
      });
      this.#mean = { offset, mean };
    }
    return await this.#mean.mean;
  }

  #formatsOf({ slow }: Stratum): readonly Format[] {
    return slow ? this.#formats : this.#quick;
  }
}

/** Whether a tensor may be quantized as far as its shape and type say. */
function isQuantizable({ shape, type }: TensorInfo): boolean {
  return shape.length > 1 && (FLOATS.has(type) || (formatOf(type)?.weights ?? 0) > 1);
}

/**
 * @internal The importance of a tensor's columns, for every matrix of a stack in turn. That of a token embedding never
 * fits.
 */
export function importanceOf(tensor: TensorInfo, importance: Importance | undefined): Float32Array | undefined {
  const { name, shape } = tensor;
  return importance && call(() => importance.matrix.ofTensor(name, Float64Array.from(shape)));
}

function chosenFormats(names: readonly FormatName[] | undefined): Format[] {
  const known = formats();
  if (names === undefined) {
    return known.filter(({ name, weights, canEncode }) => canEncode && (weights > 1 || /F16$/.test(name)));
  }
  expectArray('formats', names);
  return names.map((name) => {
    expectText('a format', name);
    const format = known.find((candidate) => candidate.name === name);
    if (format) return format;
    const message = `unknown format '${name}'; the known formats are ${known.map(({ name }) => name).join(', ')}`;
    throw new QuantpressError('UNKNOWN_NAME', message, { format: name });
  });
}

/** @internal The number of weights to sample per tensor. */
export function sampleOf(sample: number | 'all' = SAMPLE): number {
  if (sample === 'all') return Infinity;
  expectWhole('sample', sample, 1, Number.MAX_SAFE_INTEGER);
  return sample;
}
