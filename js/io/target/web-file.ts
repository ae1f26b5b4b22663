/** Files that browsers write: chosen by the user (`showSaveFilePicker`) or in the page's own storage (OPFS). */

import type { FileReference } from '../file-identity.js';
import { systemError } from '../system-error.js';
import type { Target } from './target.js';

/**
 * A file handle. The browser writes a copy and replaces the file on {@link close}: until then the file is unchanged.
 */
export class WebFileTarget implements Target {
  readonly #handle: FileSystemFileHandle;
  #stream: FileSystemWritableFileStream | undefined;

  constructor(handle: FileSystemFileHandle) {
    this.#handle = handle;
  }

  async files(): Promise<readonly FileReference[]> {
    return [{ kind: 'handle', handle: this.#handle }];
  }

  async open(size: number): Promise<void> {
    await this.#doing('cannot write', async () => {
      this.#stream = await this.#handle.createWritable();
      // Allocates the space, so that a full disk or quota fails now.
      await this.#stream.truncate(size);
    });
  }

  async write(offset: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    await this.#doing('cannot write', async () => {
      await this.#stream?.write({ type: 'write', position: offset, data: bytes });
    });
  }

  async close(): Promise<void> {
    await this.#doing('cannot complete', async () => this.#stream?.close());
  }

  async abort(reason?: unknown): Promise<void> {
    await this.#stream?.abort(reason).catch(() => {});
  }

  async #doing(what: string, action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      throw systemError(error, `${what} '${this.#handle.name}'`, { name: this.#handle.name });
    }
  }
}

/** The result of `createSyncAccessHandle()` for a file in OPFS, in a worker. */
export interface AccessHandle {
  /** Writes at an offset and returns the number of bytes written. */
  write(bytes: Uint8Array<ArrayBuffer>, options: { at: number }): number;
  /** Sets the size of the file. */
  truncate(size: number): void;
  /** Flushes to disk. */
  flush(): void;
  /** Closes the file. */
  close(): void;
}

/** A synchronous access handle. It writes in place, so the file is not complete before {@link close}. */
export class AccessHandleTarget implements Target {
  readonly #handle: AccessHandle;

  constructor(handle: AccessHandle) {
    this.#handle = handle;
  }

  async open(size: number): Promise<void> {
    this.#doing(() => this.#handle.truncate(size));
  }

  async write(offset: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    this.#doing(() => {
      for (let done = 0; done < bytes.length; ) {
        const written = this.#handle.write(bytes.subarray(done), { at: offset + done });
        // The next try would write nothing either.
        if (!(written > 0)) throw new DOMException('nothing was written', 'QuotaExceededError');
        done += written;
      }
    });
  }

  async close(): Promise<void> {
    this.#doing(() => {
      this.#handle.flush();
      this.#handle.close();
    });
  }

  async abort(): Promise<void> {
    this.#handle.truncate(0);
    this.#handle.close();
  }

  #doing(action: () => void): void {
    try {
      action();
    } catch (error) {
      throw systemError(error, 'cannot write to the access handle');
    }
  }
}
