import { isBytes, isSharedBuffer } from '../../engine/brands.js';
import { xxh64 } from '../../engine/hash.js';
import { checkRange, type Source, type SourceDescription } from './source.js';

/** Bytes that are hashed in one call: they are copied into the engine's memory. */
const PIECE = 1 << 20;

/** Bytes in memory. Reads are copies, so that what is handed to a worker may be transferred. */
export class BytesSource implements Source {
  readonly #bytes: Uint8Array;
  readonly #copied: boolean;

  /** With `copied` every worker gets a copy: for a few bytes that are a part of a large source. */
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

  /** Shared memory is seen by all workers; anything else would be copied whole into each, and is read here instead. */
  describe(): SourceDescription | undefined {
    return isSharedBuffer(this.#bytes.buffer) || this.#copied ? { kind: 'bytes', bytes: this.#bytes } : undefined;
  }
}
