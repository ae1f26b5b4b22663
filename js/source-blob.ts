import { QuantpressError } from './error.js';
import { checkRange, type Source, type SourceDescription } from './source.js';

/**
 * A `Blob` or `File`, read in slices: a `File` of any size is only a reference, and posting it to a worker costs
 * nothing. (Reading one whole fails above 2 GB in Chromium.)
 */
export class BlobSource implements Source {
  readonly #blob: Blob;
  readonly name?: string;

  constructor(blob: Blob) {
    this.#blob = blob;
    if ('name' in blob && typeof blob.name === 'string') this.name = blob.name;
  }

  get size(): number {
    return this.#blob.size;
  }

  async read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    checkRange(this, offset, length);
    try {
      return new Uint8Array(await this.#blob.slice(offset, offset + length).arrayBuffer());
    } catch (cause) {
      throw this.#unreadable(cause);
    }
  }

  describe(): SourceDescription {
    return { kind: 'blob', blob: this.#blob };
  }

  /** A browser refuses to read any of a file that has changed since it was picked: so it is enough to try. */
  async check(): Promise<void> {
    await this.read(0, Math.min(1, this.size));
  }

  /** Of a `File` the time of its last change; a plain `Blob` has none. */
  async fingerprint(): Promise<string | undefined> {
    return 'lastModified' in this.#blob ? `blob ${this.#blob.lastModified}` : undefined;
  }

  /** Browsers say NotReadableError for a file that changed, and NotFoundError for one that is gone. */
  #unreadable(cause: unknown): QuantpressError {
    const who = this.name === undefined ? 'the blob' : `'${this.name}'`;
    const message = `${who} cannot be read any more: it was changed, moved or deleted since it was picked`;
    return new QuantpressError('CHANGED', message, {}, { cause });
  }
}
