/** The conversion of a whole model: plan, header, tiles, done. Memory is that of the tiles under way, never of the model. */

import { expectObject } from './check.js';
import { QuantpressError } from './error.js';
import type { FormatName } from './format.js';
import { makePlan, type Plan, type PlanOptions, type Recipe } from './model-plan.js';
import type { Model, SourceType } from './model.js';
import { createRunner, type Runner, type RunnerOptions } from './pool.js';
import { FileHashes } from './quantize-hashes.js';
import type { JobIdentity } from './journal.js';
import { identifyJob, saveProgress, type SavedProgress } from './quantize-resume.js';
import { ProgressMeter, type Progress } from './quantize-progress.js';
import { tilesOf, weightsPerMatrix, type Tile } from './quantize-tiles.js';
import { openTarget, type TargetInput } from './target-open.js';
import { InOrder, type Target } from './target.js';
import { compiledModule } from './wasm.js';

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
  /** Called after every tile that has been written. */
  onProgress?: ((progress: Progress) => void) | undefined;
}

/** What {@link quantizeModel} has done. */
export interface Report {
  /** Bytes of the file before and after. */
  sourceSize: number;
  size: number;
  /** Seconds it took. */
  seconds: number;
  /** Bytes of the source that an earlier run had done already. */
  bytesResumed: number;
  /** SHA-256 of the whole file, in hexadecimal; with `hashes`. */
  sha256?: string;
  /** The tensors, in the order of the output file. */
  tensors: ReportedTensor[];
}

/** What has become of one tensor. */
export interface ReportedTensor {
  name: string;
  from: SourceType;
  to: FormatName;
  why: string;
  sourceBytes: number;
  bytes: number;
  /** SHA-256 and XXH64 of its bytes in the output file, in hexadecimal; with `hashes`. */
  sha256?: string;
  xxh64?: string;
}

/**
 * Quantizes a model file: the bytes `llama-quantize` writes for the same model, preset and options.
 *
 * @param target - A path (Node), a file handle, a `WritableStream`, a `MemoryTarget` or any {@link Target}. A file appears
 * under its name only when it is complete.
 * @param recipe - A preset's name, or a preset and options.
 * @throws {@link QuantpressError} as {@link planModel}; `NEEDS_IMPORTANCE`; `NON_FINITE` or `UNREPRESENTABLE` with the tensor,
 * row and column; `CHANGED` if the source did, or if what is to be resumed is of another source, recipe, importance matrix or
 * engine (`details.changed`); `BUSY` if another run is at it; why it cannot be read or written (`NO_SPACE`, `DENIED`, `IO` ...).
 * @example
 * ```ts
 * const model = await openModel('model-f16.gguf');
 * await quantizeModel(model, 'model-Q4_K_M.gguf', 'Q4_K_M', { onProgress: ({ bytesDone }) => console.log(bytesDone) });
 * await model.close();
 * ```
 */
export async function quantizeModel(
  model: Model,
  target: TargetInput,
  recipe: Recipe | string,
  options: QuantizeModelOptions = {},
): Promise<Report> {
  expectObject('options', options);
  options.signal?.throwIfAborted();
  const started = performance.now();
  const plan = await makePlan(model, recipe, options, false);
  try {
    const job = await identifyJob(model, plan, recipe);
    const done = await new Conversion(model, plan, job, await openTarget(target), options).run();
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
  readonly #runner: Runner;
  readonly #meter: ProgressMeter;
  readonly #onProgress: QuantizeModelOptions['onProgress'];
  readonly #stop = new AbortController();
  readonly #callers: AbortSignal | undefined;
  /** What ends the waiting of those who wait, when the run is stopped. */
  readonly #waiting = new Set<() => void>();
  /** The importance of the tensor that was begun last, which most tiles under way are of. */
  #importance: { index: number; all: Float32Array | undefined } | undefined;

  constructor(model: Model, plan: Plan, job: JobIdentity, target: Target, options: QuantizeModelOptions) {
    this.#model = model;
    this.#plan = plan;
    this.#progress = saveProgress(target, job, options.resume ?? false, this.#stop);
    this.#hashes = options.hashes ? new FileHashes(plan.tensors, this.#stop.signal) : undefined;
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
      await (this.#progress ? this.#progress.open(this.#plan.size) : this.#target.open?.(this.#plan.size));
      await this.#write(0, this.#plan.header());
      await this.#writeTiles();
      signal.throwIfAborted();
      await this.#model.source.check?.();
      await this.#progress?.finish();
      await this.#target.close();
      return { bytesResumed: this.#meter.bytesResumed, hashes: this.#hashes?.result() };
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
    const there = await this.#progress?.restore(tile.target);
    const bytes = there ?? (await this.#bytesOf(tile));
    const { offset, length } = tile.target;
    if (bytes.length !== length) {
      const message = `tensor '${tile.tensor.name}' gave ${bytes.length} bytes where ${length} were planned`;
      throw new QuantpressError('LENGTH', message, { tensor: tile.tensor.name });
    }
    if (!there) {
      await this.#target.write(offset, bytes);
      this.#progress?.add(offset, bytes);
    }
    await this.#hashes?.add(offset, bytes, tile.index);
    if (tile.padding > 0) await this.#write(offset + length, new Uint8Array(tile.padding));
    const progress = this.#meter.add(tile, there !== undefined);
    this.#onProgress?.(progress);
  }

  /** Bytes between the tensors. */
  async #write(offset: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    await this.#target.write(offset, bytes);
    await this.#hashes?.add(offset, bytes);
  }

  async #bytesOf(tile: Tile): Promise<Uint8Array<ArrayBuffer>> {
    const { input, tensor } = tile;
    const { from, to, rowLength, headRows } = tensor;
    try {
      const importance = importanceOf(tile, this.#importanceOf(tile.index));
      const task = { kind: 'encode', input, from, to, rowLength, headRows, importance } as const;
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
function importanceOf({ tensor, firstWeight }: Tile, all: Float32Array | undefined): Float32Array | undefined {
  if (!all || all.length === tensor.rowLength) return all;
  const matrix = Math.floor(firstWeight / weightsPerMatrix(tensor));
  return all.slice(matrix * tensor.rowLength, (matrix + 1) * tensor.rowLength);
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

/** What only the run itself knows. */
interface Done {
  bytesResumed: number;
  hashes: { sha256: string; tensors: { sha256: string; xxh64: string }[] } | undefined;
}

function report({ source }: Model, { size, tensors }: Plan, { bytesResumed, hashes }: Done, seconds: number): Report {
  return {
    sourceSize: source.size,
    size,
    seconds,
    bytesResumed,
    ...(hashes && { sha256: hashes.sha256 }),
    tensors: tensors.map(({ name, from, to, why, sourceBytes, targetBytes }, index) => ({
      name,
      from,
      to,
      why,
      sourceBytes,
      bytes: targetBytes,
      ...hashes?.tensors[index],
    })),
  };
}
