import { isBytes, isSharedBuffer } from '../../engine/cross-realm.js';
import { xxh64 } from '../../engine/hash.js';
import { checkRange, type Source, type SourceDescription } from './source.js';

/** The number of bytes hashed in one call; they are copied into the engine's memory. */
const PIECE = 1 << 20;

/** Bytes in memory. Reads return copies, so that they may be transferred to a worker. */
export class BytesSource implements Source {
  readonly #bytes: Uint8Array;
  readonly #copied: boolean;

  /** With `copied` every worker gets a copy, which suits a small part of a large source. */
  constructor(bytes: Uint8Array | ArrayBufferLike, copied = false) {
    this.#bytes = isBytes(bytes) ? bytes : new Uint8Array(bytes);
    this.#copied = copied;
  }

  get size(): number {
    return this.#bytes.length;
  }

  async read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    checkRange(this, offset, length);
    return new Uint8Array(this.#bytes.subarray(offset, offset + length));
  }

  async readInto(into: Uint8Array<ArrayBuffer>, offset: number): Promise<void> {
    checkRange(this, offset, into.length);
    into.set(this.#bytes.subarray(offset, offset + into.length));
  }

  async fingerprint(): Promise<string> {
    const hash = xxh64();
    for (let at = 0; at < this.size; at += PIECE) hash.update(this.#bytes.subarray(at, at + PIECE));
    return `bytes ${hash.hex()}`;
  }

  /** All workers see shared memory. Other memory would be copied into each worker, so this thread reads it. */
  describe(): SourceDescription | undefined {
    return isSharedBuffer(this.#bytes.buffer) || this.#copied ? { kind: 'bytes', bytes: this.#bytes } : undefined;
  }
}
