import { expectBytes, expectOffset, expectText } from '../../engine/check.js';
import { QuantpressError } from '../../engine/error.js';
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
      const message = `${bytes.length} bytes at ${offset} are outside a result of ${this.#bytes.length} bytes`;
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

  /** Whether everything is written: before that there are no {@link bytes}. */
  get isComplete(): boolean {
    return this.#complete;
  }

  /**
   * The whole result, without a copy.
   *
   * @throws {@link QuantpressError} `NO_DATA` until it is complete.
   */
  get bytes(): Uint8Array<ArrayBuffer> {
    if (this.#complete) return this.#bytes;
    throw incomplete();
  }
}

/** The result as a `Blob`, which a browser may keep on disk: for a download without a file system. */
export class BlobTarget implements Target {
  readonly ordered = true;
  readonly #type: string;
  #parts: Blob[] = [];
  #blob: Blob | undefined;

  /** `type` is the media type of the Blob. */
  constructor(type = 'application/octet-stream') {
    expectText('type', type);
    this.#type = type;
  }

  async write(_offset: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    expectBytes('bytes', bytes);
    // Each piece becomes a Blob at once: its bytes can leave this thread's memory, while an array of buffers would pile
    // up.
    this.#parts.push(new Blob([bytes]));
  }

  async close(): Promise<void> {
    this.#blob = new Blob(this.#parts, { type: this.#type });
    this.#parts = [];
  }

  async abort(): Promise<void> {
    this.#parts = [];
  }

  /** Whether everything is written: before that there is no {@link blob}. */
  get isComplete(): boolean {
    return this.#blob !== undefined;
  }

  /**
   * The whole result.
   *
   * @throws {@link QuantpressError} `NO_DATA` until it is complete.
   */
  get blob(): Blob {
    if (this.#blob) return this.#blob;
    throw incomplete();
  }
}

/** What a target holds once it is complete: the bytes of a {@link MemoryTarget}, the Blob of a {@link BlobTarget}. */
export type Written<T> = T extends MemoryTarget
  ? { bytes: Uint8Array<ArrayBuffer> }
  : T extends BlobTarget
    ? { blob: Blob }
    : unknown;

/** What is in memory of a complete target; nothing of one that writes elsewhere. */
export function writtenTo(target: Target | undefined): { bytes?: Uint8Array<ArrayBuffer>; blob?: Blob } {
  if (target instanceof MemoryTarget) return { bytes: target.bytes };
  if (target instanceof BlobTarget) return { blob: target.blob };
  return {};
}

function incomplete(): QuantpressError {
  const message = 'the target is not complete; await quantizeModel() first';
  return new QuantpressError('NO_DATA', message);
}
