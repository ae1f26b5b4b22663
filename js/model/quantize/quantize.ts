/** The conversion of a whole model: plan, header, tiles, done. Memory is that of the tiles under way, never of the model. */

import { QuantpressError } from '../../engine/error.js';
import { noErrors, type ErrorFigures, type ErrorSums } from '../../numerics/distortion.js';
import type { FormatName } from '../../numerics/format.js';
import { filesOf, refuseSharedFiles, usesOf, type FileUse } from '../../io/file-identity.js';
import { BLOCK } from '../bnb/plan.js';
import { FourBitTails } from '../bnb/tails.js';
import { shardSuffix } from '../../io/file-names.js';
import { makePlan, PLAN_OPTIONS, type Plan, type PlanOptions, type Recipe } from '../plan.js';
import type { Model, SourceType } from '../model.js';
import { callback, flag, readOptions, signal as signalReader, type ReaderTable } from '../../engine/options.js';
import { createRunner, RUNNER_OPTIONS, type Runner, type RunnerOptions } from '../../pool/pool.js';
import { ErrorReport, errorsNote, errorsOf } from './distortion-report.js';
import { FileHashes, type HashedOutput } from './hashes.js';
import type { JobIdentity } from './journal.js';
import { identifyJob, saveProgress, type SavedProgress } from './resume.js';
import { ProgressMeter, type Progress } from './progress.js';
import { RowMeans } from './row-means.js';
import { inputOf, tilesOf, tilesOfTensor, weightsPerMatrix, type Tile } from './tiles.js';
import type { SideFile } from '../../io/target/side-file.js';
import { openTargets, type TargetInput, type TargetSet } from '../../io/target/open.js';
import { InOrder, type Target } from '../../io/target/target.js';
import { compiledModule } from '../../engine/wasm.js';

/** Options of {@link quantizeModel}. */
export interface QuantizeModelOptions extends PlanOptions, RunnerOptions {
  /** Stops the work at once; the promise is rejected with the signal's reason and nothing is left behind. */
  signal?: AbortSignal | undefined;
  /**
   * Goes on with what a run of the same job has left at the same target, if it was killed or interrupted; the file is the
   * same to the last byte. Nothing there is a beginning. When this run is interrupted too, or fails for a reason that may
   * pass, it leaves its work for the next. The target must be resumable: a path (Node) or an `OpfsTarget`.
   */
  resume?: boolean | undefined;
  /** Computes hashes of the file and of each tensor while they are written, for the report. */
  hashes?: boolean | undefined;
  /** Measures in the same pass what is lost of each tensor, for the report. */
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

/** What {@link quantizeModel} has done. */
export interface Report {
  /** Bytes of the file before and after. */
  sourceSize: number;
  size: number;
  /** Seconds it took. */
  seconds: number;
  /** Bytes of the source that an earlier run had done already. */
  bytesResumed: number;
  /** SHA-256 of the whole file, in hexadecimal; with `hashes`. Of several files, as if they stood end to end. */
  sha256?: string;
  /** The file is a plain container, as the recipe asked: no program runs it. */
  plain?: true;
  /** The files, where the recipe splits the output. */
  shards?: ReportedShard[];
  /** The weight error of the file, see `weightError`; with `report`. */
  weightError?: number;
  /** The tensors, in the order of the output file. */
  tensors: ReportedTensor[];
}

/** One of several files. */
export interface ReportedShard {
  /** What its name ends with: `-00001-of-00003.gguf`. */
  suffix: string;
  size: number;
  /** SHA-256 of the file, in hexadecimal; with `hashes`. */
  sha256?: string;
}

/** What has become of one tensor. */
export interface ReportedTensor {
  name: string;
  from: SourceType;
  to: FormatName;
  why: string;
  sourceBytes: number;
  bytes: number;
  /** What is lost; with `report`. */
  error?: ErrorFigures;
  /** SHA-256 and XXH64 of its bytes in the output file, in hexadecimal; with `hashes`. */
  sha256?: string;
  xxh64?: string;
}

/**
 * Quantizes a model file: the bytes `llama-quantize` writes for the same model, preset and options.
 *
 * @param target - A path (Node), a file handle, a `WritableStream`, a `MemoryTarget` or any {@link Target}. A file appears
 * under its name only when it is complete. Where the recipe splits the output, a path is what the names begin with
 * (`model.gguf` gives `model-00001-of-00003.gguf`), and a function gives the target of each file. A symbolic link stays one:
 * the file it leads to is replaced, or created.
 * @param recipe - A preset's name, or a preset and options.
 * @throws {@link QuantpressError} as {@link planModel}; `SAME_FILE`, before anything is written, if a file of the target is
 * one that is read (of the model, beside it, or the importance matrix) or is there twice; `NEEDS_IMPORTANCE`; `NON_FINITE` or
 * `UNREPRESENTABLE` with the tensor, row and column; `CHANGED` if the source did, or if what is to be resumed is of another
 * source, recipe, importance matrix or engine (`details.changed`); `BUSY` if another run is at it; why it cannot be read or
 * written (`NO_SPACE`, `DENIED`, `IO` ...).
 * @example
 * ```ts
 * const model = await openModel('model-f16.gguf');
 * await quantizeModel(model, 'model-Q4_K_M.gguf', 'Q4_K_M', { onProgress: ({ bytesDone }) => console.log(bytesDone) });
 * await model.close();
 * ```
 */
export function quantizeModel(
  model: Model,
  target: TargetInput | TargetSet,
  recipe: Recipe | string,
  options: QuantizeModelOptions = {},
): Promise<Report> {
  return quantizeAmong(model, target, recipe, options, ALONE);
}

/** @internal The other files of a job, and what error messages call those of the model. */
export interface JobFiles {
  /** What was read before. */
  reads: readonly FileUse[];
  /** What is written afterwards. */
  beside: readonly SideFile[];
  roles: Readonly<Record<'model' | 'imatrix' | 'target', string>>;
}

const ALONE: JobFiles = {
  reads: [],
  beside: [],
  roles: { model: 'the model', imatrix: 'the importance matrix', target: 'the target' },
};

/** @internal {@link quantizeModel}, which makes sure that none of its files is one of the `others`. */
export async function quantizeAmong(
  model: Model,
  target: TargetInput | TargetSet,
  recipe: Recipe | string,
  options: QuantizeModelOptions,
  others: JobFiles,
): Promise<Report> {
  const given = readOptions('quantizeModel', OPTIONS, options);
  given.signal?.throwIfAborted();
  const started = performance.now();
  const plan = await makePlan('quantizeModel', model, recipe, given, false);
  try {
    const output = await openTargets(target, { shards: plan.shards(), split: plan.split });
    await refuseSharedFiles(
      [...usesOf(others.roles.model, model.reads), ...usesOf(others.roles.imatrix, plan.reads), ...others.reads],
      [
        ...(await filesOf(others.roles.target, output)),
        ...(await Promise.all(others.beside.map((file) => file.uses()))).flat(),
      ],
    );
    for (const file of others.beside) await file.prepare(given.signal);
    const job = await identifyJob(model, plan, recipe);
    const done = await new Conversion(model, plan, job, output, given).run();
    return report(model, plan, done, (performance.now() - started) / 1000);
  } finally {
    plan.free();
  }
}

/** One run of a plan. Whatever fails, or the caller's signal, stops everything through one controller. */
class Conversion {
  readonly #model: Model;
  readonly #plan: Plan;
  readonly #target: Target;
  readonly #progress: SavedProgress | undefined;
  readonly #hashes: FileHashes | undefined;
  readonly #errors: ErrorReport | undefined;
  /** Of a file of bitsandbytes' formats. */
  readonly #tails: FourBitTails | undefined;
  readonly #runner: Runner;
  readonly #meter: ProgressMeter;
  readonly #onProgress: QuantizeModelOptions['onProgress'];
  readonly #stop = new AbortController();
  readonly #callers: AbortSignal | undefined;
  /** What ends the waiting of those who wait, when the run is stopped. */
  readonly #waiting = new Set<() => void>();
  /** The importance of the tensor that was begun last, which most tiles under way are of. */
  #importance: { index: number; all: Float32Array | undefined } | undefined;
  readonly #means = new RowMeans();

  constructor(model: Model, plan: Plan, job: JobIdentity, target: Target, options: QuantizeModelOptions) {
    this.#model = model;
    this.#plan = plan;
    this.#progress = saveProgress(target, job, options.resume ?? false, this.#stop);
    this.#hashes = options.hashes ? new FileHashes(plan.tensors, plan.shards(), this.#stop.signal) : undefined;
    this.#errors = options.report ? new ErrorReport() : undefined;
    this.#tails = plan.fourBit && new FourBitTails(plan.fourBit);
    this.#target = target.ordered ? new InOrder(target, this.#stop.signal) : target;
    this.#runner = createRunner(model.source, compiledModule(), options);
    this.#meter = new ProgressMeter(plan.tensors);
    this.#onProgress = options.onProgress;
    this.#callers = options.signal;
  }

  async run(): Promise<Done> {
    const { signal } = this.#stop;
    const stopped = () => this.#stop.abort(this.#callers?.reason);
    const closeRunner = () => {
      void this.#runner.close(signal.reason);
      for (const giveUp of this.#waiting) giveUp();
    };
    this.#callers?.addEventListener('abort', stopped, { once: true });
    signal.addEventListener('abort', closeRunner, { once: true });
    try {
      // It may have been while the plan was made, when nobody listened.
      if (this.#callers?.aborted) stopped();
      signal.throwIfAborted();
      await (this.#progress ? this.#progress.open(this.#plan.size) : this.#target.open?.(this.#plan.size));
      const headers = await this.#writeHeaders();
      await this.#writeTiles();
      await headers.written;
      signal.throwIfAborted();
      await this.#model.source.check?.();
      await this.#progress?.finish();
      await this.#target.close();
      return { bytesResumed: this.#meter.bytesResumed, hashes: this.#hashes?.result(), errors: this.#errors };
    } catch (error) {
      await this.#runner.close(error);
      await this.#progress?.stop();
      if (this.#progress?.keepsAfter(error)) await this.#progress.suspend();
      else await this.#target.abort(error);
      throw error;
    } finally {
      this.#callers?.removeEventListener('abort', stopped);
      await this.#runner.close(undefined);
    }
  }

  /** The header comes first. Those of further files wait for their turn, if the target wants all in order. */
  async #writeHeaders(): Promise<{ written: Promise<unknown> }> {
    const [first, ...further] = this.#plan.shards();
    if (first) await this.#write(first.offset, first.header);
    const written = Promise.all(further.map(({ offset, header }) => this.#write(offset, header)));
    return { written: written.catch((error: unknown) => this.#stop.abort(error)) };
  }

  /** As many tiles at once as the runner is wide: a tile makes room for the next only when it has been written. */
  async #writeTiles(): Promise<void> {
    const tiles = tilesOf(this.#plan.tensors);
    const lane = async () => {
      for (const tile of tiles) {
        if (this.#stop.signal.aborted) return;
        await this.#convert(tile).catch((error: unknown) => this.#stop.abort(error));
      }
    };
    await Promise.all(Array.from({ length: this.#runner.width }, lane));
    this.#stop.signal.throwIfAborted();
  }

  async #convert(tile: Tile): Promise<void> {
    const there = await this.#restore(tile);
    const { bytes, errors, absmax } = there ?? (await this.#encode(tile));
    const end = absmax && this.#tails?.add(tile, absmax);
    const tail = absmax ? end?.bytes : tile.padding > 0 && new Uint8Array(tile.padding);
    const { offset, length } = tile.target;
    if (bytes.length !== length) {
      const message = `tensor '${tile.tensor.name}' gave ${bytes.length} bytes where ${length} were planned`;
      throw new QuantpressError('LENGTH', message, { tensor: tile.tensor.name });
    }
    if (!there) {
      await this.#target.write(offset, bytes);
      this.#progress?.add(offset, bytes, errors && errorsNote(errors));
    }
    if (errors) this.#errors?.add(tile, errors);
    await this.#hashes?.add(offset, bytes, tile.index);
    const { targetOffset, targetBytes } = tile.tensor;
    if (tail) await this.#write(targetOffset + targetBytes, tail);
    if (end?.scales) await this.#measure(tile, end.scales);
    const progress = this.#meter.add(tile, there !== undefined);
    this.#onProgress?.(progress);
  }

  /** Bytes between the tensors. */
  async #write(offset: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    await this.#target.write(offset, bytes);
    await this.#hashes?.add(offset, bytes);
  }

  /** What an earlier run has made of a tile; if errors are wanted, only with its errors. */
  async #restore({ target, tensor }: Tile): Promise<Converted | undefined> {
    // Of these the scales would be missing.
    if (this.#tails && tensor.from !== tensor.to) return undefined;
    const errors = errorsOf(this.#progress?.noteOf(target.offset));
    if (this.#errors && !errors && tensor.from !== tensor.to) return undefined;
    const bytes = await this.#progress?.restore(target);
    return bytes && { bytes, errors };
  }

  /** What is lost of a tensor whose scales are only now what the file has: it is read, and encoded, once more. */
  async #measure({ tensor, index }: Tile, scales: Float32Array): Promise<void> {
    if (!this.#errors) return;
    for (const tile of tilesOfTensor(tensor, index)) {
      const first = tile.firstWeight / BLOCK;
      const blocks = Math.ceil((tile.target.length * 2) / BLOCK);
      const { errors } = await this.#encode(tile, scales.slice(first, first + blocks));
      if (errors) this.#errors.add(tile, errors);
    }
  }

  async #encode(tile: Tile, scales?: Float32Array): Promise<Converted> {
    const { tensor, columns, headRows } = tile;
    const { from, to } = tensor;
    const input = inputOf(tile);
    try {
      const importance = importanceOf(tile, this.#importanceOf(tile.index));
      const meanSquare = importance && (await this.#orStopped(this.#means.of(tile, this.#runner, this.#stop.signal)));
      const later = this.#plan.fourBit?.double && !scales;
      const errors = this.#errors && from !== to && !later ? noErrors() : undefined;
      const task = {
        kind: 'encode',
        input,
        from,
        to,
        columns,
        meanSquare,
        headRows,
        importance,
        errors,
        scales,
      } as const;
      const { signal } = this.#stop;
      // A source may be stuck, and not listen to the signal.
      return await this.#orStopped(this.#runner.run(task, signal));
    } catch (error) {
      throw inTensor(tile, error);
    }
  }

  /** What a promise gives, unless the run is stopped first. One listener serves all that wait: there are many at once. */
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

  #importanceOf(index: number): Float32Array | undefined {
    if (this.#importance?.index !== index) this.#importance = { index, all: this.#plan.importance(index) };
    return this.#importance.all;
  }
}

/** The importance of a tile's columns: of a stack of matrices, that of its own. */
function importanceOf(tile: Tile, all: Float32Array | undefined): Float32Array | undefined {
  const { tensor, firstWeight, columns } = tile;
  if (!all || all.length === columns) return all;
  const matrix = Math.floor(firstWeight / weightsPerMatrix(tensor));
  const first = matrix * tensor.rowLength + (columns < tensor.rowLength ? firstWeight % tensor.rowLength : 0);
  return all.slice(first, first + columns);
}

/** The error of a tile, told of its tensor: an index counts from the tile's first weight. */
function inTensor({ tensor, firstWeight }: Tile, error: unknown): unknown {
  if (!(error instanceof QuantpressError)) return error;
  const { name, rowLength } = tensor;
  const { index: inTile } = error.details;
  if (typeof inTile !== 'number') {
    return new QuantpressError(error.code, `tensor '${name}': ${error.message}`, { ...error.details, tensor: name });
  }
  const index = firstWeight + inTile;
  const place = { index, row: Math.floor(index / rowLength), column: index % rowLength };
  const message = `tensor '${name}', row ${place.row}, column ${place.column}: ${error.message}`;
  return new QuantpressError(error.code, message, { ...error.details, tensor: name, ...place });
}

/** A tile's bytes in the output, and what they have lost. */
interface Converted {
  bytes: Uint8Array<ArrayBuffer>;
  errors?: ErrorSums | undefined;
  absmax?: Float32Array | undefined;
}

/** What only the run itself knows. */
interface Done {
  bytesResumed: number;
  errors: ErrorReport | undefined;
  hashes: HashedOutput | undefined;
}

function report({ source }: Model, plan: Plan, done: Done, seconds: number): Report {
  const { bytesResumed, hashes, errors } = done;
  const error = errors?.ofFile(plan.tensors);
  return {
    sourceSize: source.size,
    size: plan.size,
    seconds,
    bytesResumed,
    ...(hashes && { sha256: hashes.sha256 }),
    ...(plan.plain && { plain: true }),
    ...(plan.split && { shards: shardsOf(plan, hashes) }),
    ...(error !== undefined && { weightError: error }),
    tensors: plan.tensors.map((tensor, index) => ({
      name: tensor.name,
      from: tensor.from,
      to: tensor.to,
      why: tensor.why,
      sourceBytes: tensor.sourceBytes,
      bytes: tensor.targetBytes,
      ...(errors && { error: errors.of(tensor, index) }),
      ...hashes?.tensors[index],
    })),
  };
}

function shardsOf(plan: Plan, hashes: HashedOutput | undefined): ReportedShard[] {
  return plan.shards().map(({ size }, index, { length }) => {
    const sha256 = hashes?.files[index];
    return { suffix: `${shardSuffix(index, length)}.gguf`, size, ...(sha256 !== undefined && { sha256 }) };
  });
}
