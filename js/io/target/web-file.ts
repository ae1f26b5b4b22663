/** Files that browsers write: of the user's choice (`showSaveFilePicker`) or of the page's own storage (OPFS). */

import type { FileReference } from '../file-identity.js';
import { systemError } from '../system-error.js';
import type { Target } from './target.js';

/** A file handle. The browser writes a copy and swaps it in on {@link close}: until then the file is as it was. */
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
      // Claims the space, so that a disk or a quota that is too small says so now.
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

/** What `createSyncAccessHandle()` of a file in OPFS gives, in a worker. */
export interface AccessHandle {
  /** Writes at a place, and says how many bytes it took. */
  write(bytes: Uint8Array<ArrayBuffer>, options: { at: number }): number;
  /** Makes the file as long as told. */
  truncate(size: number): void;
  /** Has all that was written on the disk. */
  flush(): void;
  /** Lets go of the file. */
  close(): void;
}

/** A synchronous access handle. It writes in place, so what is there before {@link close} is not complete. */
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
