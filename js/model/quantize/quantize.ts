/** Converts a whole model. The engine decides (`src/job/`); this module reads, runs workers, writes and aborts. */

import type { ModelJob, ModelPlan, ModelReport } from '../../engine/model-bindings.js';
import { release } from '../../engine/dispose.js';
import { QuantpressError } from '../../engine/error.js';
import { sha256 } from '../../engine/hash.js';
import { callback, flag, readOptions, signal as signalReader, type ReaderTable } from '../../engine/options.js';
import { breathe, runtimeHash } from '../../engine/platform.js';
import { compiledModule } from '../../engine/wasm.js';
import { callModel } from '../../engine/model.js';
import { filesOf, refuseSharedFiles, usesOf, type FileUse } from '../../io/file-identity.js';
import { concatenated } from '../../io/concatenated.js';
import { ReadAhead } from '../../io/source/read-ahead.js';
import { openTargets, type TargetInput, type TargetSet } from '../../io/target/open.js';
import { writtenTo, type Written } from '../../io/target/memory.js';
import type { SidecarFile } from '../../io/target/sidecar-file.js';
import { InOrder, type Target } from '../../io/target/target.js';
import { createRunner, RUNNER_OPTIONS, type Runner, type RunnerOptions } from '../../pool/pool.js';
import type { ByteRange, Results, TaskInput } from '../../pool/protocol.js';
import type { Model } from '../model.js';
import { makeEnginePlan, PLAN_OPTIONS, type PlanFacts, type PlanOptions } from '../plan.js';
import type { Recipe } from '../recipe.js';
import { SpeedMeter, type Progress } from './progress.js';
import {
  lazyReport,
  readReport,
  type LazyReport,
  type Report,
  type ReportedShard,
  type ReportFacts,
} from './report.js';
import { Journal, resumable, stateOf } from './resume.js';

export type { Report, ReportedShard, ReportedTensor } from './report.js';

/**
 * What {@link quantizeModel} returns for a target: the report, and what was written where that is in memory. A `MemoryTarget`
 * gives `bytes`, a `BlobTarget` a `blob`; a function that returns such targets gives them for each of `shards`, or for the one
 * file where the recipe does not split the output.
 */
export type QuantizeResult<T = TargetInput | TargetSet> = T extends (...args: never[]) => infer Each
  ? Omit<Report, 'shards'> & {
      shards?: (ReportedShard & Written<Awaited<Each>>)[];
    } & Partial<Written<Awaited<Each>>>
  : Report & Written<T>;

/** Options of {@link quantizeModel}. */
export interface QuantizeModelOptions extends PlanOptions, RunnerOptions {
  /** Stops the work at once; the promise is rejected with the signal's reason and nothing is left behind. */
  signal?: AbortSignal | undefined;
  /**
   * Resumes an interrupted or killed run of the same job at the same target; the file is the
   * same to the last byte. If there is nothing to resume, the run starts from the beginning. If this run is interrupted
   * too, or fails for a temporary reason, it keeps its partial file for the next. The target must be resumable: a path
   * (Node) or an `OpfsTarget`.
   */
  resume?: boolean | undefined;
  /** Computes hashes of the file and of each tensor while they are written, for the report. */
  hashes?: boolean | undefined;
  /** Measures the weight error of each tensor in the same pass, for the report. */
  report?: boolean | undefined;
  /** Called after every tile that has been written. */
  onProgress?: ((progress: Progress) => void) | undefined;
}

const OPTIONS: ReaderTable<QuantizeModelOptions> = {
  ...PLAN_OPTIONS,
  ...RUNNER_OPTIONS,
  signal: signalReader,
  resume: flag,
  hashes: flag,
  report: flag,
  onProgress: callback,
};

/**
 * Quantizes a model file: the bytes `llama-quantize` writes for the same model, preset and options.
 *
 * @param target - A path (Node), a file handle, a `WritableStream`, a `MemoryTarget` or any {@link Target}. A file appears
 * under its name only when it is complete. If the recipe splits the output, a path is the prefix of the names
 * (`model.gguf` gives `model-00001-of-00003.gguf`), and a function returns the target of each file. A symbolic link
 * stays: the file it points to is replaced or created.
 * @param recipe - A preset's name, or a preset and options.
 * @returns The report, with the result if the target is in memory: `bytes` (a `Uint8Array`) for a `MemoryTarget`, `blob`
 * for a `BlobTarget`. They are not copied. To keep the report without them, or to write it as JSON, separate the two:
 * `const { bytes, ...report } = await quantizeModel(...)`.
 * @throws {@link QuantpressError} as {@link planModel}; `SAME_FILE`, before anything is written, if a file of the
 * target is also an input (of the model, a sidecar file, or the importance matrix) or occurs twice; `NEEDS_IMPORTANCE`;
 * `NON_FINITE` or `UNREPRESENTABLE` with the tensor, row and column; `CHANGED` if the source changed, or if the partial
 * file belongs to another source, recipe, importance matrix or engine (`details.changed`); `BUSY` if another run is
 * writing it; errors of reading and writing (`NO_SPACE`, `DENIED`, `IO` ...).
 * @example
 * ```ts
 * const model = await openModel('model-f16.gguf');
 * await quantizeModel(model, 'model-Q4_K_M.gguf', 'Q4_K_M', { onProgress: ({ bytesDone }) => console.log(bytesDone) });
 * const { bytes } = await quantizeModel(model, new MemoryTarget(), 'Q4_0');
 * await model.close();
 * ```
 */
export function quantizeModel<T extends TargetInput | TargetSet>(
  model: Model,
  target: T,
  recipe: Recipe | Recipe['preset'],
  options: QuantizeModelOptions = {},
): Promise<QuantizeResult<T>> {
  return convert(model, target, recipe, options, ALONE, async (engine, facts, files) => {
    return withWritten(await readReport(engine, facts), files);
  }) as Promise<QuantizeResult<T>>;
}

/** @internal The other files of a job, and the name of the model's files in error messages. */
export interface JobFiles {
  /** The files that were read before. */
  reads: readonly FileUse[];
  /** The files that are written afterwards. */
  beside: readonly SidecarFile[];
  roles: Readonly<Record<'model' | 'imatrix' | 'target', string>>;
}

const ALONE: JobFiles = {
  reads: [],
  beside: [],
  roles: { model: 'the model', imatrix: 'the importance matrix', target: 'the target' },
};

/**
 * @internal {@link quantizeModel}, with a check that none of its files is one of the `others`. `use` receives the report,
 * which is freed afterwards.
 */
export function quantizeAmong<T>(
  model: Model,
  target: TargetInput | TargetSet,
  recipe: Recipe | Recipe['preset'],
  options: QuantizeModelOptions,
  others: JobFiles,
  use: (report: LazyReport) => Promise<T>,
): Promise<T> {
  return convert(model, target, recipe, options, others, (engine, facts) => use(lazyReport(engine, facts)));
}

async function convert<T>(
  model: Model,
  target: TargetInput | TargetSet,
  recipe: Recipe | Recipe['preset'],
  options: QuantizeModelOptions,
  others: JobFiles,
  use: (report: ModelReport, facts: ReportFacts, files: readonly Target[]) => Promise<T>,
): Promise<T> {
  const given = readOptions('quantizeModel', OPTIONS, options);
  given.signal?.throwIfAborted();
  const started = performance.now();
  const { plan, facts } = await makeEnginePlan('quantizeModel', model, recipe, given, false);
  /** The engine object to free: a plan, which becomes a job, which becomes a report. */
  let held: { free(): void } = plan;
  try {
    const shards = callModel(() => plan.files()) as { size: number }[];
    const { whole: output, files } = await openTargets(target, { shards, split: facts.split });
    await refuseSharedFiles(
      [...usesOf(others.roles.model, model.reads), ...usesOf(others.roles.imatrix, facts.reads), ...others.reads],
      [
        ...(await filesOf(others.roles.target, output)),
        ...(await Promise.all(others.beside.map((file) => file.uses()))).flat(),
      ],
    );
    for (const file of others.beside) await file.prepare(given.signal);
    const { size } = plan;
    const kept = resumable(output, given.resume ?? false);
    // Only a journal identifies its job.
    const state = kept ? await stateOf(model) : '';
    const conversion = new Conversion(model, output, given, [state, facts.imatrix], (window) => {
      const job = jobOf(plan, given, kept !== undefined, window);
      held = job;
      return job;
    });
    const job = await conversion.run(size);
    const finished = callModel(() => job.finish());
    held = finished;
    return await use(finished, factsOf(model, facts, given, (performance.now() - started) / 1000), files);
  } finally {
    release(held, callModel);
  }
}

/** Adds the result to a report if it is in memory. */
function withWritten(report: Report, files: readonly Target[]): Report {
  if (report.shards === undefined) return { ...report, ...writtenTo(files[0]) };
  return { ...report, shards: report.shards.map((shard, index) => ({ ...shard, ...writtenTo(files[index]) })) };
}

/** The engine's job for a plan, which it consumes. */
function jobOf(plan: ModelPlan, options: QuantizeModelOptions, journal: boolean, window: number): ModelJob {
  const { hashes = false, report = false } = options;
  const system = runtimeHash('sha256') && sha256;
  return callModel(() => plan.job(hashes, report, journal, window, system));
}

function factsOf({ source }: Model, facts: PlanFacts, options: QuantizeModelOptions, seconds: number): ReportFacts {
  const { hashes = false, report = false } = options;
  return { sourceSize: source.size, seconds, split: facts.split, plain: facts.plain, hashes, errors: report };
}

/** A task of the engine. */
interface JobTask {
  id: number;
  tensor: string;
  /** Whether it reads the partial file of an earlier run, not the source. */
  output: boolean;
  ranges: ByteRange[];
  passes: boolean;
  task: Uint8Array<ArrayBuffer>;
}

/** Bytes to write. */
interface Write {
  offset: number;
  bytes: Uint8Array<ArrayBuffer>;
}

/** The number of bytes of a header that are hashed and written at once: some milliseconds. */
const PIECE = 1 << 20;

/** Ranges up to this many bytes are read together with their neighbours or written together with what follows. */
const SMALL = 1 << 10;

/** Joins small writes that follow each other: of a tensor and of its padding. */
function combined(writes: readonly Write[]): readonly Write[] {
  const [first, ...others] = writes;
  if (!first || others.length === 0) return writes;
  let end = first.offset;
  for (const { offset, bytes } of writes) {
    if (offset !== end || bytes.length > SMALL) return writes;
    end += bytes.length;
  }
  return [{ offset: first.offset, bytes: concatenated(writes.map(({ bytes }) => bytes)) }];
}

/** Creates the engine's job, for as many concurrent tasks as the runner supports. */
type MakeJob = (window: number) => ModelJob;

/** One run of a job. Any failure, and the caller's signal, stops everything through one controller. */
class Conversion {
  readonly #model: Model;
  readonly #job: ModelJob;
  readonly #target: Target;
  readonly #journal: Journal | undefined;
  readonly #read: (range: ByteRange) => Promise<Uint8Array<ArrayBuffer>>;
  readonly #runner: Runner;
  readonly #ahead: ReadAhead;
  readonly #speed = new SpeedMeter();
  readonly #onProgress: QuantizeModelOptions['onProgress'];
  readonly #stop = new AbortController();
  readonly #callers: AbortSignal | undefined;
  /** Callbacks that end waiting when the run is stopped. */
  readonly #waiting = new Set<() => void>();
  /** The loops that wait for a task. */
  #idle: (() => void)[] = [];

  /** `states` are those of the source and of the importance matrix, for a journal. */
  constructor(
    model: Model,
    target: Target,
    options: QuantizeModelOptions,
    states: readonly [string, string],
    make: MakeJob,
  ) {
    const kept = resumable(target, options.resume ?? false);
    this.#model = model;
    this.#ahead = new ReadAhead(model.source);
    this.#target = target.ordered ? new InOrder(target, this.#stop.signal) : target;
    this.#runner = createRunner(model.source, compiledModule(), options);
    this.#job = make(this.#runner.width);
    this.#journal = kept && new Journal(kept, this.#job, states, options.resume ?? false, this.#stop);
    this.#read = async ({ offset, length }) => (await kept?.read(offset, length)) ?? new Uint8Array(0);
    this.#onProgress = options.onProgress;
    this.#callers = options.signal;
  }

  /** Resolves to the job when everything is done. */
  async run(size: number): Promise<ModelJob> {
    const { signal } = this.#stop;
    const stopped = () => this.#stop.abort(this.#callers?.reason);
    const closeRunner = () => {
      void this.#runner.close(signal.reason);
      for (const giveUp of this.#waiting) giveUp();
      this.#wake();
    };
    this.#callers?.addEventListener('abort', stopped, { once: true });
    signal.addEventListener('abort', closeRunner, { once: true });
    try {
      // The signal may have aborted during planning, before there was a listener.
      if (this.#callers?.aborted) stopped();
      signal.throwIfAborted();
      await (this.#journal ? this.#journal.open(size) : this.#target.open?.(size));
      const headers = await this.#writeHeaders();
      await this.#runTasks();
      await headers.written;
      signal.throwIfAborted();
      await this.#model.source.check?.();
      await this.#journal?.finish();
      await this.#target.close();
      return this.#job;
    } catch (error) {
      await this.#runner.close(error);
      await this.#journal?.stop();
      if (this.#journal?.keepsAfter(error)) await this.#journal.suspend();
      else await this.#target.abort(error);
      throw error;
    } finally {
      this.#callers?.removeEventListener('abort', stopped);
      await this.#runner.close(undefined);
    }
  }

  /**
   * The header comes first, in pieces. Those of further files wait for their turn if the target is ordered, so nothing
   * waits for them here.
   */
  async #writeHeaders(): Promise<{ written: Promise<unknown> }> {
    const further: Promise<void>[] = [];
    for (let end = 0; ; ) {
      const writes = callModel(() => this.#job.start(PIECE)) as Write[] | undefined;
      if (!writes) return { written: Promise.all(further) };
      for (const { offset, bytes } of writes) {
        const written = this.#target.write(offset, bytes);
        if (offset === end) await written;
        else further.push(written.catch((error: unknown) => this.#stop.abort(error)));
        if (offset === end) end += bytes.length;
        // It is hashed, too.
        if (bytes.length === PIECE) await breathe();
      }
      this.#stop.signal.throwIfAborted();
    }
  }

  /**
   * Runs as many concurrent tasks as the runner supports: the next one starts only when the result of one has been
   * written.
   */
  async #runTasks(): Promise<void> {
    const work = () => this.#work().catch((error: unknown) => this.#stop.abort(error));
    await Promise.all(Array.from({ length: this.#runner.width }, work));
    this.#stop.signal.throwIfAborted();
  }

  async #work(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const task = callModel(() => this.#job.next()) as JobTask | null | undefined;
      if (task === undefined) return;
      if (task) await this.#perform(task);
      else await new Promise<void>((resolve) => this.#idle.push(resolve));
    }
  }

  /** Wakes all loops to look for a task again. */
  #wake(): void {
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  async #perform(task: JobTask): Promise<void> {
    const { found, bytes } = await this.#run(task);
    const step = callModel(() => this.#job.complete(task.id, found, bytes)) as { writes: Write[]; entry?: Uint8Array };
    this.#wake();
    for (const write of combined(step.writes)) await this.#target.write(write.offset, write.bytes);
    if (step.entry) this.#journal?.add(step.entry as Uint8Array<ArrayBuffer>);
    const progress = callModel(() => this.#job.written(task.id)) as Progress | undefined;
    if (progress) this.#onProgress?.(this.#speed.of(progress));
  }

  async #run({ tensor, output, ranges, passes, task }: JobTask): Promise<Results['convert']> {
    const { signal } = this.#stop;
    const run = async () => {
      const input = await this.#inputOf(output, ranges);
      return this.#runner.run({ kind: 'convert', input, task, passes }, signal);
    };
    try {
      // A source may be stuck and ignore the signal.
      return await this.#orStopped(run());
    } catch (error) {
      // The engine names the tensor itself; this error is about reading.
      if (!(error instanceof QuantpressError) || 'tensor' in error.details) throw error;
      throw new QuantpressError(error.code, `tensor '${tensor}': ${error.message}`, { ...error.details, tensor });
    }
  }

  /** The bytes of a task if this thread must read them, otherwise their ranges. */
  async #inputOf(output: boolean, ranges: ByteRange[]): Promise<TaskInput> {
    const [first, ...more] = ranges;
    if (!first || more.length > 0) return ranges;
    if (output) return this.#read(first);
    if (first.length > SMALL) return first;
    // Many tiny tensors share a read. Each is copied, because its buffer is transferred to a worker.
    return (await this.#ahead.read(first.offset, first.length, this.#stop.signal)).slice();
  }

  /**
   * Resolves like `promise`, unless the run is stopped first. All waiters share one listener, because there are many.
   */
  async #orStopped<T>(promise: Promise<T>): Promise<T> {
    const { signal } = this.#stop;
    let giveUp: () => void = () => {};
    const stopped = new Promise<never>((_, reject) => {
      giveUp = () => reject(signal.reason);
    });
    this.#waiting.add(giveUp);
    if (signal.aborted) giveUp();
    try {
      return await Promise.race([promise, stopped]);
    } finally {
      this.#waiting.delete(giveUp);
    }
  }
}
