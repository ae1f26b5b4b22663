/** Joins small writes to adjacent ranges, so that a file of many tiny tensors takes few system calls. */

/** Writes of at most this many bytes are joined. */
const SMALL = 1 << 13;

/** The maximum size of a joined write. */
const JOINED = 1 << 16;

/** The number of joined writes that are collected at once: concurrent tasks do not finish in file order. */
const RUNS = 8;

/** A contiguous range of bytes. */
interface Run {
  readonly offset: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
  length: number;
}

type Write = (offset: number, bytes: Uint8Array<ArrayBuffer>) => Promise<void>;

/**
 * Collects small writes. Larger ones pass through. After {@link empty}, everything that was added before it is written.
 */
export class SmallWrites {
  readonly #write: Write;
  #runs: Run[] = [];
  /** Joined writes that are in progress. */
  readonly #writing = new Set<Promise<void>>();
  /** The error of a joined write: the writes of its callers have already been reported as done. */
  #failure: { error: unknown } | undefined;

  constructor(write: Write) {
    this.#write = write;
  }

  /** Writes `bytes` at `offset`, at once or later. When the promise resolves, the caller may reuse the bytes. */
  async add(offset: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    if (this.#failure) throw this.#failure.error;
    if (bytes.length > SMALL) return this.#write(offset, bytes);
    const run = this.#runs.find((run) => run.offset + run.length === offset);
    if (run) {
      const rest = Math.min(bytes.length, JOINED - run.length);
      run.bytes.set(bytes.subarray(0, rest), run.length);
      run.length += rest;
      if (run.length < JOINED) return;
      this.#runs.splice(this.#runs.indexOf(run), 1);
      if (rest < bytes.length) this.#begin(offset + rest, bytes.subarray(rest));
      return this.#writeRun(run);
    }
    const oldest = this.#runs.length < RUNS ? undefined : this.#runs.shift();
    this.#begin(offset, bytes);
    if (oldest) await this.#writeRun(oldest);
  }

  /** Writes all that was added. Fails if any write fails or has failed before. */
  async empty(): Promise<void> {
    for (const run of this.#runs.splice(0)) void this.#writeRun(run).catch(() => {});
    await Promise.allSettled(this.#writing);
    if (this.#failure) throw this.#failure.error;
  }

  #begin(offset: number, bytes: Uint8Array<ArrayBuffer>): void {
    const run = { offset, bytes: new Uint8Array(JOINED), length: bytes.length };
    run.bytes.set(bytes);
    this.#runs.push(run);
  }

  async #writeRun({ offset, bytes, length }: Run): Promise<void> {
    const writing = this.#write(offset, bytes.subarray(0, length)).catch((error: unknown) => {
      this.#failure ??= { error };
      throw error;
    });
    this.#writing.add(writing);
    try {
      await writing;
    } finally {
      this.#writing.delete(writing);
    }
  }
}
