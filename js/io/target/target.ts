/** Where bytes go: the interface, and how pieces that come in any order reach a target that wants them in order. */

import type { FileReference } from '../file-identity.js';

/**
 * Something that takes the bytes of a file whose size is known. Every byte is written exactly once.
 *
 * The calls come in this order: `open`, any number of `write`, then `close` or `abort`. Several writes may be under way
 * at once unless {@link ordered}.
 */
export interface Target {
  /** Whether `write` must be called with ascending offsets, without gaps, one at a time: what a stream needs. */
  readonly ordered?: boolean;
  /**
   * The files it will write, with those it may write or remove on the way: compared with all that the job reads, before
   * `open`. None where it writes no files.
   */
  files?(): Promise<readonly FileReference[]>;
  /** Makes ready for `size` bytes; fails with `NO_SPACE` if they will not fit. */
  open?(size: number): Promise<void>;
  /** Fails with `NO_SPACE` if so many bytes more will not fit where the target is: asked for several targets together. */
  fits?(size: number): Promise<void>;
  /** Writes `bytes` at `offset`. Once it has resolved the bytes are the caller's again. */
  write(offset: number, bytes: Uint8Array<ArrayBuffer>): Promise<void>;
  /** All bytes are written: brings them to the disk, so that nothing is left for `close` that could fail for want of space. */
  flush?(): Promise<void>;
  /**
   * After `flush`: moves the file that is to be replaced out of the way, and gives what puts it back. Asked of targets that
   * replace several files together, so that old and new ones are never taken for one set. `close` removes it for good.
   */
  withdraw?(): Promise<() => Promise<void>>;
  /** All bytes are written: makes the result appear. */
  close(): Promise<void>;
  /** Leaves nothing behind. Never called after `close` has resolved. */
  abort(reason?: unknown): Promise<void>;
}

/**
 * A target whose unfinished work outlasts the run that does it, so that another run can go on: a file with a journal
 * beside it. `FileTarget` (a path in Node) and `OpfsTarget` (a file of the browser's own storage) are such.
 *
 * The calls come in this order: `open` or `reopen`; any number of `write`, `read` and `log`; then `close`, `abort` or
 * `suspend`. `open` after `reopen` throws away what was there.
 */
export interface ResumableTarget extends Target {
  /**
   * In place of `open`: takes over what an interrupted run has left, and gives its journal, whatever is in it; `undefined`
   * if there was nothing, and then all is as after `open`. Fails with `BUSY` if a run that is still alive is at it.
   */
  reopen(size: number): Promise<Uint8Array<ArrayBuffer> | undefined>;
  /** Bytes of the unfinished file: fewer than `length` where it ends before. */
  read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * Adds to the journal. It may say that something was written only when that would outlast a crash: so everything whose
   * `write` has resolved goes to the disk first, then `entries`. One call at a time.
   */
  log(entries: Uint8Array<ArrayBuffer>): Promise<void>;
  /** In place of `abort`: lets go, and keeps the unfinished file and its journal for `reopen`. */
  suspend(): Promise<void>;
}

/** Whether a target can be resumed. */
export function isResumable(target: Target): target is ResumableTarget {
  return 'reopen' in target && 'read' in target && 'log' in target && 'suspend' in target;
}

/**
 * Gives the files of one result their names, when each is flushed. The first is the one by which the others are found, such
 * as the first shard: the old one is moved away first, and the new one gets its name last. So at no moment, and after no
 * interruption, does it stand among others that are not its own.
 */
export async function placeTogether(targets: readonly Target[]): Promise<void> {
  const withdrawn: (() => Promise<void>)[] = [];
  let placed = 0;
  try {
    for (const target of targets) {
      const putBack = await target.withdraw?.();
      if (putBack) withdrawn.unshift(putBack);
    }
    for (const target of [...targets].reverse()) {
      await target.close();
      placed += 1;
    }
  } catch (error) {
    // Old files beside new ones would be a set that never was.
    if (placed === 0) for (const putBack of withdrawn) await putBack().catch(() => {});
    throw error;
  }
}

/**
 * Writes to an ordered target what is written to it in any order: each piece waits for those before it. The promise of
 * a `write` resolves when the piece has been written, so whoever limits the writes under way limits what waits here.
 */
export class InOrder implements Target {
  readonly ordered = false;
  readonly #target: Target;
  readonly #signal: AbortSignal;
  readonly #waiting = new Map<number, { resolve: () => void; reject: (reason: unknown) => void }>();
  #position = 0;

  /** Pieces that wait when `signal` aborts, or come later, are rejected with its reason: those before them may never come. */
  constructor(target: Target, signal: AbortSignal) {
    this.#target = target;
    this.#signal = signal;
    const giveUp = () => {
      for (const { reject } of this.#waiting.values()) reject(signal.reason);
    };
    signal.addEventListener('abort', giveUp, { once: true });
  }

  async open(size: number): Promise<void> {
    await this.#unlessAborted(this.#target.open?.(size));
  }

  async write(offset: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    if (bytes.length === 0) return;
    this.#signal.throwIfAborted();
    if (offset !== this.#position) {
      await new Promise<void>((resolve, reject) => this.#waiting.set(offset, { resolve, reject }));
    }
    await this.#unlessAborted(this.#target.write(offset, bytes));
    this.#position = offset + bytes.length;
    const next = this.#waiting.get(this.#position);
    this.#waiting.delete(this.#position);
    next?.resolve();
  }

  close(): Promise<void> {
    return this.#target.close();
  }

  abort(reason?: unknown): Promise<void> {
    return this.#target.abort(reason);
  }

  /** What nobody reads from, a pipe or a stream, may never be ready: an abort does not wait for it. */
  async #unlessAborted(work: Promise<void> | undefined): Promise<void> {
    let stop: () => void = () => {};
    const aborted = new Promise<never>((_, reject) => {
      stop = () => reject(this.#signal.reason);
    });
    this.#signal.addEventListener('abort', stop, { once: true });
    try {
      await Promise.race([work, aborted]);
    } finally {
      this.#signal.removeEventListener('abort', stop);
    }
  }
}
