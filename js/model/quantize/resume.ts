/**
 * The journal of a conversion at a resumable target: an interrupted run leaves it, and the next one resumes from it.
 */

import type { ModelJob } from '../../engine/model-bindings.js';
import { QuantpressError } from '../../engine/error.js';
import { sha256 } from '../../engine/hash.js';
import { callModel } from '../../engine/model.js';
import { breathe } from '../../engine/platform.js';
import { concatenated } from '../../io/concatenated.js';
import { readExactly } from '../../io/source/source.js';
import { isResumable, type ResumableTarget, type Target } from '../../io/target/target.js';
import type { Model } from '../model.js';

/**
 * The minimum interval between two writes of the journal (milliseconds); the interval grows so that writing takes at
 * most a tenth of the time.
 */
const PAUSE = 100;
const SHARE = 9;

/** The number of bytes of a header that are hashed at once, and of a journal that the engine parses: some milliseconds. */
const PIECE = 1 << 20;

/** The state of a model's source, or nothing if it has none. It does not depend on the location of the files. */
export async function stateOf({ source, headerBytes }: Model): Promise<string> {
  const state = await source.fingerprint?.();
  if (state === undefined) return '';
  const hash = sha256();
  const end = Math.min(headerBytes, source.size);
  for (let at = 0; at < end; at += PIECE) {
    if (at > 0) await breathe();
    hash.update(await readExactly(source, at, Math.min(PIECE, end - at)));
  }
  return `${source.size} ${state} ${hash.hex()}`;
}

/** The target, if it can keep a journal. If resuming is requested and it cannot, this fails. */
export function resumable(target: Target, resume: boolean): ResumableTarget | undefined {
  if (isResumable(target)) return target;
  if (!resume) return undefined;
  const message = 'this target cannot be resumed; use a path (Node) or an OpfsTarget';
  throw new QuantpressError('UNSUPPORTED', message, {});
}

/** The journal of a target. */
export class Journal {
  readonly #target: ResumableTarget;
  readonly #job: ModelJob;
  /** The states of the source and of the importance matrix. */
  readonly #state: string;
  readonly #imatrix: string;
  readonly #resume: boolean;
  readonly #stop: AbortController;
  #waiting: Uint8Array<ArrayBuffer>[] = [];
  #writing: Promise<void> | undefined;
  #finished = false;
  /** Ends a pause. */
  #wake: (() => void) | undefined;
  /** The partial file belongs to another job, and stays. */
  #keep = false;

  constructor(
    target: ResumableTarget,
    job: ModelJob,
    [state, imatrix]: readonly [string, string],
    resume: boolean,
    stop: AbortController,
  ) {
    this.#target = target;
    this.#job = job;
    this.#state = state;
    this.#imatrix = imatrix;
    this.#resume = resume;
    this.#stop = stop;
  }

  /**
   * Opens the target, with the partial file of an earlier run of the same job if resuming is requested and there is
   * one.
   */
  async open(size: number): Promise<void> {
    const head = await this.#identify();
    const left = this.#resume ? await this.#target.reopen(size) : await this.#target.open?.(size);
    if (left && (await this.#takeOver(left))) return;
    // Without its first line a journal is useless: the work starts from the beginning.
    if (left) await this.#target.open?.(size);
    await this.#target.log(head);
  }

  /** The first line, which identifies the job by its whole plan. */
  async #identify(): Promise<Uint8Array<ArrayBuffer>> {
    for (;;) {
      const head = callModel(() => this.#job.identify(this.#state, this.#imatrix));
      if (head) return head as Uint8Array<ArrayBuffer>;
      await this.#turn();
    }
  }

  /** Lets other tasks of the thread run, one of which may stop the run. */
  async #turn(): Promise<void> {
    await breathe();
    this.#stop.signal.throwIfAborted();
  }

  /** Whether the job resumes with a journal. A journal of another job is rejected. */
  async #takeOver(left: Uint8Array<ArrayBuffer>): Promise<boolean> {
    for (let at = 0; at < left.length; at += PIECE) {
      if (at > 0) await this.#turn();
      callModel(() => this.#job.addJournal(left.subarray(at, at + PIECE)));
    }
    try {
      return callModel(() => this.#job.resume());
    } catch (error) {
      this.#keep = true;
      throw error;
    }
  }

  /** Adds an entry whose bytes are written, but perhaps not flushed yet. */
  add(entry: Uint8Array<ArrayBuffer>): void {
    this.#waiting.push(entry);
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
    });
  }

  /** Stops writing the journal: the file is complete and needs none, or the run has already failed. */
  async finish(): Promise<void> {
    this.#finished = true;
    this.#wake?.();
    await this.#writing;
  }

  /** Writes the rest of the journal, so that no finished work is lost. */
  async stop(): Promise<void> {
    await this.finish().catch(() => {});
    if (this.#resume && this.#waiting.length > 0) await this.#flush().catch(() => {});
  }

  /**
   * Whether a run that failed with this error keeps its partial file: not if a resumed run would fail again, or if
   * nothing was done.
   */
  keepsAfter(error: unknown): boolean {
    if (!this.#resume) return false;
    if (this.#keep || !(error instanceof QuantpressError)) return true;
    return error.code !== 'CHANGED' && (error.kind === 'Io' || error.kind === 'Internal');
  }

  /** Closes the target and keeps the partial file. */
  suspend(): Promise<void> {
    return this.#target.suspend();
  }

  async #write(): Promise<void> {
    while (this.#waiting.length > 0 && !this.#finished) {
      const began = performance.now();
      try {
        await this.#flush();
      } catch (error) {
        this.#stop.abort(error);
        return;
      }
      await this.#pause(Math.max(PAUSE, (performance.now() - began) * SHARE));
    }
  }

  async #flush(): Promise<void> {
    const entries = this.#waiting.splice(0);
    await this.#target.log(concatenated(entries));
  }

  /** Waits, unless writing was stopped while the last entries were written: then nothing would end the pause. */
  async #pause(milliseconds: number): Promise<void> {
    if (this.#finished) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
