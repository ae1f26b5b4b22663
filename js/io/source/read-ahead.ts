/** Reads many small ranges that follow each other with few reads of the source. */

import { readExactly, type Source } from './source.js';

/** The number of bytes read at once. */
const PIECE = 1 << 20;

/** Reads ranges of a source, most of them in ascending order. The last piece that was read is kept. */
export class ReadAhead {
  readonly #source: Source;
  #piece: Promise<Uint8Array<ArrayBuffer>> | undefined;
  #start = 0;
  #end = 0;

  constructor(source: Source) {
    this.#source = source;
  }

  /** The bytes of a range. They are a view of a shared buffer and must not be changed or transferred. */
  async read(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    if (!this.#piece || offset < this.#start || offset + length > this.#end) {
      const size = Math.max(length, Math.min(PIECE, this.#source.size - offset));
      const piece = readExactly(this.#source, offset, size, signal);
      this.#piece = piece;
      this.#start = offset;
      this.#end = offset + size;
      // A read that failed may succeed when it is tried again.
      piece.catch(() => {
        if (this.#piece === piece) this.#piece = undefined;
      });
    }
    const start = offset - this.#start;
    return (await this.#piece).subarray(start, start + length);
  }
}
