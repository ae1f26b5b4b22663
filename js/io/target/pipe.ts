import type { FileHandle } from 'node:fs/promises';
import { QuantpressError } from '../../engine/error.js';
import type { FileReference } from '../file-identity.js';
import { breathe, builtin } from '../../engine/platform.js';
import { systemError } from '../system-error.js';
import type { Target } from './target.js';

/** The longest interval in milliseconds between two checks whether a pipe has a reader or room. */
const LONGEST_PAUSE = 20;

/**
 * A device or a pipe: it is not renamed and has no positions. It is opened and written without blocking: a blocked call
 * would hold a thread that nothing can interrupt, not even the end of the process, and for ever if nothing reads the
 * pipe.
 */
export class PipeTarget implements Target {
  readonly ordered = true;
  readonly #path: string;
  #handle: FileHandle | undefined;
  #aborted = false;

  constructor(path: string) {
    this.#path = path;
  }

  /** It has no contents to destroy, but it must not be removed as a leftover of a file. */
  async files(): Promise<readonly FileReference[]> {
    return [{ kind: 'path', path: this.#path }];
  }

  /** Waits for a reader, until {@link abort}. */
  async open(): Promise<void> {
    const { O_WRONLY, O_NONBLOCK = 0 } = builtin('node:fs').constants;
    for (let turn = 0; !this.#handle; turn++) {
      this.#expectWanted();
      try {
        this.#handle = await fs().open(this.#path, O_WRONLY | O_NONBLOCK);
      } catch (error) {
        // A pipe without a reader. An unnamed pipe cannot get a new one.
        const waits = codeOf(error) === 'ENXIO' && (await this.#isNamedPipe());
        if (!waits) throw systemError(error, `cannot write '${this.#path}'`, { path: this.#path });
        await pause(turn);
      }
    }
    if (this.#aborted) await this.abort();
  }

  async write(_offset: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    for (let done = 0, turn = 0; done < bytes.length; ) {
      this.#expectWanted();
      if (!this.#handle) throw new QuantpressError('ARGUMENT', `'${this.#path}' is not open for writing`, {});
      try {
        done += (await this.#handle.write(bytes, done, bytes.length - done)).bytesWritten;
        turn = 0;
      } catch (error) {
        // The pipe is full until its reader reads.
        if (codeOf(error) !== 'EAGAIN') throw systemError(error, `cannot write '${this.#path}'`, { path: this.#path });
        await pause(turn++);
      }
    }
  }

  async close(): Promise<void> {
    await this.#handle?.close();
  }

  async abort(): Promise<void> {
    this.#aborted = true;
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close().catch(() => {});
  }

  #expectWanted(): void {
    if (!this.#aborted) return;
    throw new QuantpressError('IO', `cannot write '${this.#path}': writing was aborted`, { path: this.#path });
  }

  async #isNamedPipe(): Promise<boolean> {
    const path = await fs()
      .realpath(this.#path)
      .catch(() => undefined);
    const stats =
      path === undefined
        ? undefined
        : await fs()
            .stat(path)
            .catch(() => undefined);
    return stats?.isFIFO() === true && !/^\/(proc|dev\/fd)\//.test(path ?? '');
  }
}

const fs = () => builtin('node:fs/promises');

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

/** A working reader is rarely slow: the first attempts only yield to other tasks. */
function pause(turn: number): Promise<void> {
  if (turn < 8) return breathe();
  return new Promise((resolve) => setTimeout(resolve, Math.min(turn - 7, LONGEST_PAUSE)));
}
