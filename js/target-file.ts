import type { Stats } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { QuantpressError } from './error.js';
import { builtin } from './runtime.js';
import { systemError } from './system-error.js';
import type { Target } from './target.js';

/**
 * A file of Node's. It is written under a temporary name beside its own and renamed when complete, so that a file of
 * that name is always a whole one: the old one or the new one.
 */
export class FileTarget implements Target {
  readonly #path: string;
  #final = '';
  #temporary = '';
  #handle: FileHandle | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  async open(size: number): Promise<void> {
    await this.#doing('cannot write', async () => {
      // Through a symbolic link, so that the link stays one.
      this.#final = await fs()
        .realpath(this.#path)
        .catch(() => this.#path);
      await this.#refuseFolder();
      await this.#checkSpace(size);
      const { basename, dirname, join } = path();
      const unique = crypto.randomUUID().slice(0, 8);
      this.#temporary = join(dirname(this.#final), `.${basename(this.#final)}.${unique}.part`);
      this.#handle = await fs().open(this.#temporary, 'wx');
    });
  }

  async write(offset: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    await this.#doing('cannot write', async () => {
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await this.#open().write(bytes, done, bytes.length - done, offset + done);
        done += bytesWritten;
      }
    });
  }

  async close(): Promise<void> {
    await this.#doing('cannot complete', async () => {
      await this.#open().sync();
      await this.#open().close();
      await fs().rename(this.#temporary, this.#final);
      this.#handle = undefined;
      await syncFolder(path().dirname(this.#final));
    });
  }

  async abort(): Promise<void> {
    if (!this.#handle) return;
    await this.#handle.close().catch(() => {});
    this.#handle = undefined;
    await fs().rm(this.#temporary, { force: true });
  }

  #open(): FileHandle {
    if (this.#handle) return this.#handle;
    throw new QuantpressError('ARGUMENT', `'${this.#path}' is not open for writing`, { path: this.#path });
  }

  /** A rename onto a folder would fail only after all the work. */
  async #refuseFolder(): Promise<void> {
    if (!(await existing(this.#final))?.isDirectory()) return;
    throw new QuantpressError('UNSUPPORTED', `cannot write '${this.#path}': it is a directory`, { path: this.#path });
  }

  async #checkSpace(size: number): Promise<void> {
    const { bavail, bsize } = await fs().statfs(path().dirname(this.#final));
    const free = bavail * bsize;
    if (free >= size) return;
    const message = `cannot write '${this.#path}': it needs ${size} bytes and the disk has ${free} free`;
    throw new QuantpressError('NO_SPACE', message, { path: this.#path, needed: size, free });
  }

  async #doing(what: string, action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      throw systemError(error, `${what} '${this.#path}'`, { path: this.#path });
    }
  }
}

/** A device or a pipe: nothing to rename, no position to write at. */
export class PipeTarget implements Target {
  readonly ordered = true;
  readonly #path: string;
  #handle: FileHandle | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  async open(): Promise<void> {
    this.#handle = await fs().open(this.#path, 'w');
  }

  async write(_offset: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    try {
      await this.#handle?.writeFile(bytes);
    } catch (error) {
      throw systemError(error, `cannot write '${this.#path}'`, { path: this.#path });
    }
  }

  async close(): Promise<void> {
    await this.#handle?.close();
  }

  async abort(): Promise<void> {
    await this.#handle?.close().catch(() => {});
  }
}

/** The target of a path: a file, or what stands there if it is a device or a pipe. */
export async function pathTarget(path: string): Promise<Target> {
  if (!builtin('node:fs/promises')) {
    throw new QuantpressError('UNSUPPORTED', `'${path}' is a path, and there is no file system here`, { path });
  }
  const stats = await existing(path);
  return stats && !stats.isFile() && !stats.isDirectory() ? new PipeTarget(path) : new FileTarget(path);
}

const fs = () => builtin('node:fs/promises');
const path = () => builtin('node:path');

async function existing(path: string): Promise<Stats | undefined> {
  return fs()
    .stat(path)
    .catch(() => undefined);
}

/** A rename is safe from a power cut when its folder is on the disk. Not every system lets a folder be opened. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await fs()
    .open(folder, 'r')
    .catch(() => undefined);
  await handle?.sync().catch(() => {});
  await handle?.close();
}
