import { expectBytes, expectOffset, expectText } from './check.js';
import { QuantpressError } from './error.js';
import type { Target } from './target.js';

/** The result as bytes in memory. */
export class MemoryTarget implements Target {
  #bytes = new Uint8Array(0);
  #complete = false;

  async open(size: number): Promise<void> {
    expectOffset('size', size);
    try {
      this.#bytes = new Uint8Array(size);
    } catch (cause) {
      throw new QuantpressError('NO_SPACE', `${size} bytes do not fit in memory`, { needed: size }, { cause });
    }
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    expectOffset('offset', offset);
    expectBytes('bytes', bytes);
    if (offset + bytes.length > this.#bytes.length) {
      const details = { offset, length: bytes.length, size: this.#bytes.length };
      const message = `${bytes.length} bytes at ${offset} do not lie in a result of ${this.#bytes.length}`;
      throw new QuantpressError('RANGE', message, details);
    }
    this.#bytes.set(bytes, offset);
  }

  async close(): Promise<void> {
    this.#complete = true;
  }

  async abort(): Promise<void> {
    this.#bytes = new Uint8Array(0);
  }

  /** The whole result, without a copy; `undefined` until it is complete. */
  get bytes(): Uint8Array<ArrayBuffer> | undefined {
    return this.#complete ? this.#bytes : undefined;
  }
}

/** The result as a `Blob`, which a browser may keep on disk: for a download where there is no file system. */
export class BlobTarget implements Target {
  readonly ordered = true;
  readonly #type: string;
  #parts: Blob[] = [];
  #blob: Blob | undefined;

  /** `type` is the media type the Blob gets. */
  constructor(type = 'application/octet-stream') {
    expectText('type', type);
    this.#type = type;
  }

  async write(_offset: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    expectBytes('bytes', bytes);
    // A Blob of its own at once: its bytes leave this thread's memory, where an array of buffers would pile up.
    this.#parts.push(new Blob([bytes]));
  }

  async close(): Promise<void> {
    this.#blob = new Blob(this.#parts, { type: this.#type });
    this.#parts = [];
  }

  async abort(): Promise<void> {
    this.#parts = [];
  }

  /** The whole result; `undefined` until it is complete. */
  get blob(): Blob | undefined {
    return this.#blob;
  }
}
