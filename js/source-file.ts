import type { Stats } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { QuantpressError } from './error.js';
import { builtin } from './runtime.js';
import { checkRange, truncated, type FileIdentity, type Source, type SourceDescription } from './source.js';
import { systemError } from './system-error.js';

/** One read call of Node takes an int32 of bytes. */
const LONGEST_READ = 1 << 30;

/** A file of Node's, by positioned reads: no position is shared, so any number may be under way. */
export class FileSource implements Source {
  readonly size: number;
  readonly #handle: FileHandle;
  readonly #identity: FileIdentity;
  readonly #path: string | undefined;

  private constructor(handle: FileHandle, stats: Stats, path?: string) {
    this.#handle = handle;
    this.#path = path;
    this.#identity = identify(stats);
    this.size = stats.size;
  }

  /** Opens the file of a path. {@link close} closes it. */
  static async open(path: string): Promise<FileSource> {
    const fs = builtin('node:fs/promises');
    if (!fs)
      throw new QuantpressError('UNSUPPORTED', `'${path}' is a path, and there is no file system here`, { path });
    try {
      const handle = await fs.open(path, 'r');
      try {
        return new FileSource(handle, await regular(handle, path), path);
      } catch (error) {
        await handle.close();
        throw error;
      }
    } catch (error) {
      throw systemError(error, `cannot read '${path}'`, { path });
    }
  }

  /** Reads through a handle that stays its owner's: {@link close} leaves it open. */
  static async from(handle: FileHandle): Promise<FileSource> {
    return new FileSource(handle, await regular(handle, 'the file handle'));
  }

  /** Opens the same file again, in another thread. */
  static async reopen(path: string, identity: FileIdentity): Promise<FileSource> {
    const source = await FileSource.open(path);
    if (same(source.#identity, identity)) return source;
    await source.close();
    throw changed(path);
  }

  get name(): string | undefined {
    return this.#path;
  }

  async read(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    checkRange(this, offset, length);
    const bytes = new Uint8Array(length);
    await this.readInto(bytes, offset, signal);
    return bytes;
  }

  async readInto(into: Uint8Array<ArrayBuffer>, offset: number, signal?: AbortSignal): Promise<void> {
    checkRange(this, offset, into.length);
    for (let filled = 0; filled < into.length; ) {
      signal?.throwIfAborted();
      const length = Math.min(into.length - filled, LONGEST_READ);
      const { bytesRead } = await this.#read(into, filled, length, offset + filled);
      if (bytesRead === 0) throw truncated(this, offset, into.length, offset + filled);
      filled += bytesRead;
    }
  }

  describe(): SourceDescription | undefined {
    return this.#path === undefined ? undefined : { kind: 'path', path: this.#path, identity: this.#identity };
  }

  async check(): Promise<void> {
    const now = identify(await this.#handle.stat());
    if (!same(now, this.#identity)) throw changed(this.#path ?? 'the file handle');
  }

  async fingerprint(): Promise<string> {
    const { inode, modified } = this.#identity;
    return `file ${inode} ${modified}`;
  }

  async close(): Promise<void> {
    if (this.#path !== undefined) await this.#handle.close();
  }

  async #read(into: Uint8Array, start: number, length: number, position: number) {
    try {
      return await this.#handle.read(into, start, length, position);
    } catch (error) {
      throw systemError(error, `cannot read '${this.#path ?? 'the file handle'}' at byte ${position}`, { position });
    }
  }
}

async function regular(handle: FileHandle, name: string): Promise<Stats> {
  const stats = await handle.stat();
  if (stats.isFile()) return stats;
  const what = stats.isDirectory() ? 'it is a directory' : 'it is not a regular file, which can be read anywhere';
  throw new QuantpressError('UNSUPPORTED', `cannot read '${name}': ${what}`, { path: name });
}

function identify({ dev, ino, size, mtimeMs }: Stats): FileIdentity {
  return { device: dev, inode: ino, size, modified: mtimeMs };
}

function same(a: FileIdentity, b: FileIdentity): boolean {
  return a.device === b.device && a.inode === b.inode && a.size === b.size && a.modified === b.modified;
}

function changed(path: string): QuantpressError {
  return new QuantpressError('CHANGED', `'${path}' was changed while it was being read`, { path });
}
