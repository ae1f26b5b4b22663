/** The journal of a conversion at a target that can keep it: what an interrupted run leaves, and the next one takes over. */

import type { ModelJob } from '../../engine/bindings.js';
import { QuantpressError } from '../../engine/error.js';
import { hashOf, sha256 } from '../../engine/hash.js';
import { call } from '../../engine/wasm.js';
import { concatenated } from '../../io/concatenated.js';
import { readExactly } from '../../io/source/source.js';
import { isResumable, type ResumableTarget, type Target } from '../../io/target/target.js';
import type { Model } from '../model.js';

/** The journal is written this often at most (milliseconds), and so seldom that it takes a tenth of the time. */
const PAUSE = 100;
const SHARE = 9;

/** Bytes of a journal that the engine takes at once. */
const PIECE = 1 << 20;

/** What the state of a source is recognised by: nothing where it cannot be. It does not depend on where its files are. */
export async function stateOf({ source, headerBytes }: Model): Promise<string> {
  const state = await source.fingerprint?.();
  if (state === undefined) return '';
  const header = await readExactly(source, 0, Math.min(headerBytes, source.size));
  return `${source.size} ${state} ${hashOf(sha256(), header)}`;
}

/** The target, if it can keep a journal. Where that is asked for and it cannot, it is refused. */
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
  /** Its first line. */
  readonly #head: Uint8Array<ArrayBuffer>;
  readonly #resume: boolean;
  readonly #stop: AbortController;
  #waiting: Uint8Array<ArrayBuffer>[] = [];
  #writing: Promise<void> | undefined;
  #finished = false;
  /** Ends a pause. */
  #wake: (() => void) | undefined;
  /** What is there is another job's, and stays. */
  #keep = false;

  constructor(
    target: ResumableTarget,
    job: ModelJob,
    head: Uint8Array<ArrayBuffer>,
    resume: boolean,
    stop: AbortController,
  ) {
    this.#target = target;
    this.#job = job;
    this.#head = head;
    this.#resume = resume;
    this.#stop = stop;
  }

  /** Opens the target: with what an earlier run of the same job has left, if that is wanted and there is some. */
  async open(size: number): Promise<void> {
    const left = this.#resume ? await this.#target.reopen(size) : await this.#target.open?.(size);
    if (left && this.#takeOver(left)) return;
    // Without its first line a journal says nothing of what is there: the work begins anew.
    if (left) await this.#target.open?.(size);
    await this.#target.log(this.#head);
  }

  /** Whether the job resumes with a journal. One of another job is refused. */
  #takeOver(left: Uint8Array<ArrayBuffer>): boolean {
    for (let at = 0; at < left.length; at += PIECE) {
      call(() => this.#job.addJournal(left.subarray(at, at + PIECE)));
    }
    try {
      return call(() => this.#job.resume());
    } catch (error) {
      this.#keep = true;
      throw error;
    }
  }

  /** An entry whose bytes are written, if not yet on the disk. */
  add(entry: Uint8Array<ArrayBuffer>): void {
    this.#waiting.push(entry);
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
    });
  }

  /** Ends the writing of the journal: the file is complete and needs none, or there is an error already. */
  async finish(): Promise<void> {
    this.#finished = true;
    this.#wake?.();
    await this.#writing;
  }

  /** Writes the last of the journal, so that nothing is lost that has been done. */
  async stop(): Promise<void> {
    await this.finish().catch(() => {});
    if (this.#resume && this.#waiting.length > 0) await this.#flush().catch(() => {});
  }

  /** Whether a run that failed so leaves its work for another: not if that could only fail again, or was begun in vain. */
  keepsAfter(error: unknown): boolean {
    if (!this.#resume) return false;
    if (this.#keep || !(error instanceof QuantpressError)) return true;
    return error.code !== 'CHANGED' && (error.kind === 'Io' || error.kind === 'Internal');
  }

  /** Lets go of the target, and leaves what is there. */
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

  /** Waits, unless the writing has ended while the last entries were written: then nobody would end the pause. */
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
