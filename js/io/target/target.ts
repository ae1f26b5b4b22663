/** The interface of byte targets, and the reordering of pieces for targets that are written in order. */

import type { FileReference } from '../file-identity.js';

/**
 * A destination for the bytes of a file of known size. Every byte is written exactly once.
 *
 * The calls come in this order: `open`, any number of `write`, then `close` or `abort`. Several writes may be in
 * progress at once unless {@link ordered}.
 */
export interface Target {
  /** Whether `write` must be called with ascending offsets, without gaps, one at a time, as a stream needs. */
  readonly ordered?: boolean;
  /**
   * The files it will write, including those it may write or remove temporarily. They are compared with all files that
   * the job reads, before `open`. None if it writes no files.
   */
  files?(): Promise<readonly FileReference[]>;
  /** Prepares for `size` bytes; fails with `NO_SPACE` if they do not fit. */
  open?(size: number): Promise<void>;
  /**
   * Fails with `NO_SPACE` if this many more bytes do not fit at the target's location; called for several targets
   * together.
   */
  fits?(size: number): Promise<void>;
  /** Writes `bytes` at `offset`. When the promise resolves, the caller may reuse the bytes. */
  write(offset: number, bytes: Uint8Array<ArrayBuffer>): Promise<void>;
  /** Called when all bytes are written: flushes them to disk, so that `close` cannot fail for lack of space. */
  flush?(): Promise<void>;
  /**
   * Called after `flush`: moves the file that will be replaced aside, and returns a function that restores it. Used if
   * several files are replaced together, so that old and new ones never form one set. `close` removes the old file.
   */
  withdraw?(): Promise<() => Promise<void>>;
  /** Called when all bytes are written: makes the result visible under its name. */
  close(): Promise<void>;
  /** Leaves nothing behind. Never called after `close` has resolved. */
  abort(reason?: unknown): Promise<void>;
}

/**
 * A target whose partial result outlasts its run, so that another run can resume: a file with a journal next to it.
 * `FileTarget` (a path in Node) and `OpfsTarget` (a file in the browser's own storage) are resumable.
 *
 * The calls come in this order: `open` or `reopen`; any number of `write`, `read` and `log`; then `close`, `abort` or
 * `suspend`. `open` after `reopen` discards the partial result.
 */
export interface ResumableTarget extends Target {
  /**
   * Called instead of `open`: takes over the partial file of an interrupted run and returns its journal; `undefined` if
   * there was none, and then the state is as after `open`. Fails with `BUSY` if a running process is writing it.
   */
  reopen(size: number): Promise<Uint8Array<ArrayBuffer> | undefined>;
  /** Bytes of the partial file: fewer than `length` if it ends before. */
  read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * Adds to the journal. An entry may be written only when its bytes would survive a crash: so everything whose `write`
   * has resolved is flushed first, then `entries`. One call at a time.
   */
  log(entries: Uint8Array<ArrayBuffer>): Promise<void>;
  /** Called instead of `abort`: closes the target and keeps the partial file and its journal for `reopen`. */
  suspend(): Promise<void>;
}

/** Whether a target can be resumed. */
export function isResumable(target: Target): target is ResumableTarget {
  return 'reopen' in target && 'read' in target && 'log' in target && 'suspend' in target;
}

/**
 * Renames the files of one result when all are flushed. The first identifies the others, such as the first shard: the
 * old one is moved aside first, and the new one is renamed last. So the first file is never next to files of another
 * set, even after an interruption.
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
    // Old files next to new ones would look like one set.
    if (placed === 0) for (const putBack of withdrawn) await putBack().catch(() => {});
    throw error;
  }
}

/**
 * Writes pieces that arrive in any order to an ordered target: each piece waits for those before it. The promise of
 * a `write` resolves when the piece has been written, so limiting the writes in progress limits what waits here.
 */
export class InOrder implements Target {
  readonly ordered = false;
  readonly #target: Target;
  readonly #signal: AbortSignal;
  readonly #waiting = new Map<number, { resolve: () => void; reject: (reason: unknown) => void }>();
  #position = 0;

  /**
   * When `signal` aborts, waiting and later pieces are rejected with its reason, because the pieces before them may
   * never come.
   */
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

  /** A pipe or stream without a reader may never be ready: an abort does not wait for it. */
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
