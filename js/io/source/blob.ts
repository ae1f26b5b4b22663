import { QuantpressError } from '../../engine/error.js';
import type { FileEntry, FileReference } from '../file-identity.js';
import { builtin } from '../../engine/platform.js';
import { Sample } from './sample.js';
import { checkRange, type Source, type SourceDescription } from './source.js';

/**
 * A `Blob` or `File`, read in slices: a `File` of any size is only a reference, and posting it to a worker of a browser costs
 * nothing. (Reading one whole fails above 2 GB in Chromium.)
 */
export class BlobSource implements Source {
  readonly #blob: Blob;
  readonly #handle: FileEntry | undefined;
  readonly name?: string;
  #sample: Promise<Sample> | undefined;

  /** `handle` is the file handle that the blob came from, if any. */
  constructor(blob: Blob, handle?: FileEntry) {
    this.#blob = blob;
    this.#handle = handle;
    if ('name' in blob && typeof blob.name === 'string') this.name = blob.name;
  }

  get size(): number {
    return this.#blob.size;
  }

  async read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    checkRange(this, offset, length);
    // The thread that opens a model reads its header first and does the check at the end.
    if (offset === 0 && length > 0) await this.#sampled();
    return this.#read(offset, length);
  }

  /**
   * Node cannot share a file-backed Blob (`fs.openAsBlob`) between threads: posting it throws, and reading a posted
   * slice of it ends the process. Such a Blob cannot be told from another, so none is posted in Node.
   */
  describe(): SourceDescription | undefined {
    return builtin('node:worker_threads') ? undefined : { kind: 'blob', blob: this.#blob };
  }

  /**
   * A browser refuses to read a file whose modification time has changed since it was picked. A file that was
   * overwritten and whose time was set back is detected by a sample of its bytes.
   */
  async check(): Promise<void> {
    const before = await this.#sampled();
    if (!before.equals(await Sample.take({ size: this.size, read: (at, length) => this.#read(at, length) }))) {
      throw new QuantpressError('CHANGED', `${this.#who()} was changed while it was being read`, {});
    }
  }

  /** The modification time of a `File`; a plain `Blob` has none. */
  async fingerprint(): Promise<string | undefined> {
    return 'lastModified' in this.#blob ? `blob ${this.#blob.lastModified}` : undefined;
  }

  async files(): Promise<readonly FileReference[]> {
    if (this.#handle) return [{ kind: 'handle', handle: this.#handle }];
    return isFile(this.#blob) ? [{ kind: 'file', file: this.#blob }] : [];
  }

  async #read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    try {
      return new Uint8Array(await this.#blob.slice(offset, offset + length).arrayBuffer());
    } catch (cause) {
      throw this.#unreadable(cause);
    }
  }

  #sampled(): Promise<Sample> {
    this.#sample ??= Sample.take({ size: this.size, read: (at, length) => this.#read(at, length) });
    return this.#sample;
  }

  /** The error is NotReadableError for a file that changed, and NotFoundError for one that no longer exists. */
  #unreadable(cause: unknown): QuantpressError {
    const message = `${this.#who()} cannot be read any more: it was changed, moved or deleted since it was picked`;
    return new QuantpressError('CHANGED', message, {}, { cause });
  }

  #who(): string {
    return this.name === undefined ? 'the blob' : `'${this.name}'`;
  }
}

/** Of another realm too. */
function isFile(blob: Blob): blob is File {
  return 'name' in blob && 'lastModified' in blob;
}
