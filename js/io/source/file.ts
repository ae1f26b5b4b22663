import type { BigIntStats } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { QuantpressError } from '../../engine/error.js';
import type { FileReference } from '../file-identity.js';
import { builtin } from '../../engine/platform.js';
import { Sample } from './sample.js';
import { checkRange, truncated, type FileIdentity, type Source, type SourceDescription } from './source.js';
import { systemError } from '../system-error.js';

/** One read call of Node takes at most 2^31 - 1 bytes. */
const LONGEST_READ = 1 << 30;

/** The number of ranges that are sampled to recognise a file: 128 KiB in total. */
const FINGERPRINT_RANGES = 32;

/** A file in Node, read at explicit positions, so any number of reads may be in progress. */
export class FileSource implements Source {
  readonly size: number;
  readonly #handle: FileHandle;
  readonly #identity: FileIdentity;
  readonly #path: string | undefined;

  private constructor(handle: FileHandle, stats: BigIntStats, path?: string) {
    this.#handle = handle;
    this.#path = path;
    this.#identity = identify(stats);
    this.size = this.#identity.size;
  }

  /** Opens the file of a path. {@link close} closes it. */
  static async open(path: string): Promise<FileSource> {
    const fs = builtin('node:fs/promises');
    if (!fs)
      throw new QuantpressError('UNSUPPORTED', `'${path}' is a path, and there is no file system here`, { path });
    try {
      // Opening a pipe blocks until it has a writer, in a thread that not even the end of the process interrupts;
      // opening a device may have side effects.
      expectRegular(await fs.stat(path, { bigint: true }), path);
      const { O_RDONLY, O_NONBLOCK = 0 } = builtin('node:fs').constants;
      // The path may be a pipe by now.
      const handle = await fs.open(path, O_RDONLY | O_NONBLOCK);
      try {
        return new FileSource(handle, expectRegular(await handle.stat({ bigint: true }), path), path);
      } catch (error) {
        await handle.close();
        throw error;
      }
    } catch (error) {
      throw systemError(error, `cannot read '${path}'`, { path });
    }
  }

  /** Reads through the caller's handle: {@link close} leaves it open. */
  static async from(handle: FileHandle): Promise<FileSource> {
    return new FileSource(handle, expectRegular(await handle.stat({ bigint: true }), 'the file handle'));
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
    const now = identify(await this.#handle.stat({ bigint: true }));
    if (!same(now, this.#identity)) throw changed(this.#path ?? 'the file handle');
  }

  /**
   * Without the change time (ctime), because moving a file between two runs sets it. If the file was overwritten in
   * place and its modification time set back, the sample of its bytes differs.
   */
  async fingerprint(): Promise<string> {
    const { inode, modified } = this.#identity;
    const sample = await Sample.take(this, undefined, FINGERPRINT_RANGES);
    return `file ${inode} ${modified} ${sample.hash()}`;
  }

  async files(): Promise<readonly FileReference[]> {
    const { dev, ino } = await this.#handle.stat({ bigint: true });
    const name = this.#path ?? 'the file handle';
    // Without inodes only the path is left.
    return ino === 0n && this.#path !== undefined
      ? [{ kind: 'path', path: this.#path }]
      : [{ kind: 'inode', name, device: dev, inode: ino }];
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

/** Rejects files that cannot be read at any position. */
function expectRegular(stats: BigIntStats, name: string): BigIntStats {
  if (stats.isFile()) return stats;
  const advice = stats.isDirectory()
    ? ''
    : ', and only regular files can be read at any position. Save it to a file first';
  throw new QuantpressError('UNSUPPORTED', `cannot read '${name}': it is ${kindOf(stats)}${advice}`, { path: name });
}

function kindOf(stats: BigIntStats): string {
  if (stats.isDirectory()) return 'a directory';
  if (stats.isFIFO()) return 'a pipe (FIFO)';
  if (stats.isSocket()) return 'a socket';
  return 'a device';
}

function identify({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): FileIdentity {
  return {
    device: String(dev),
    inode: String(ino),
    size: Number(size),
    modified: String(mtimeNs),
    changed: String(ctimeNs),
  };
}

function same(a: FileIdentity, b: FileIdentity): boolean {
  const times = a.modified === b.modified && a.changed === b.changed;
  return a.device === b.device && a.inode === b.inode && a.size === b.size && times;
}

function changed(path: string): QuantpressError {
  const what = 'its contents, name, links or permissions were changed while it was being read';
  return new QuantpressError('CHANGED', `'${path}' has changed: ${what}. Run again when nothing writes to it`, {
    path,
  });
}

/**
 * The text of a small file, such as a manifest or a list of options. Larger files are rejected before they are read.
 */
export async function readTextFile(path: string, limit: number): Promise<string> {
  const source = await FileSource.open(path);
  try {
    if (source.size <= limit) return new TextDecoder().decode(await source.read(0, source.size));
    const message = `cannot read '${path}': it has ${source.size} bytes; the limit is ${limit}`;
    throw new QuantpressError('TOO_LARGE', message, { path, size: source.size, limit });
  } finally {
    await source.close();
  }
}
