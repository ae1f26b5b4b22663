/** How far a conversion is, and how fast. */

import type { Tile } from './tiles.js';

/** What `onProgress` is told, once for every tile that has been written. */
export interface Progress {
  /** Bytes of the source that are done, and in all. */
  bytesDone: number;
  bytesTotal: number;
  /** Of the bytes that are done, those that an earlier run had done already. */
  bytesResumed: number;
  /** The tensor the last tile is of. */
  tensor: string;
  /** Tensors that are complete, and in all. */
  tensorsDone: number;
  tensorsTotal: number;
  /** Bytes of the source per second, over the last few seconds. */
  bytesPerSecond: number;
  /** Seconds left at that speed. */
  eta: number;
}

/** The speed is that of this many seconds. */
const WINDOW = 8;

/** Milliseconds between two samples of the speed at least. */
const SAMPLE_EVERY = 20;

/** Counts tiles. */
export class ProgressMeter {
  readonly #left: number[];
  readonly #bytesTotal: number;
  readonly #samples: { time: number; bytes: number }[] = [{ time: performance.now(), bytes: 0 }];
  #bytesDone = 0;
  #bytesResumed = 0;
  #tensorsDone = 0;

  constructor(tensors: readonly { sourceBytes: number }[]) {
    this.#left = tensors.map(({ sourceBytes }) => sourceBytes);
    this.#bytesTotal = this.#left.reduce((sum, bytes) => sum + bytes, 0);
    this.#tensorsDone = this.#left.filter((bytes) => bytes === 0).length;
  }

  /** Bytes that an earlier run had done. */
  get bytesResumed(): number {
    return this.#bytesResumed;
  }

  /** One more tile is written; `resumed` if an earlier run had done that. */
  add({ index, tensor, input }: Tile, resumed: boolean): Progress {
    this.#bytesDone += input.length;
    if (resumed) this.#bytesResumed += input.length;
    const left = (this.#left[index] ?? 0) - input.length;
    this.#left[index] = left;
    if (left === 0) this.#tensorsDone += 1;
    return this.#now(tensor.name);
  }

  /** So many bytes are done, whatever they are of. */
  at(bytes: number, tensor: string): Progress {
    this.#bytesDone = bytes;
    return this.#now(tensor);
  }

  #now(tensor: string): Progress {
    const bytesPerSecond = this.#speed();
    return {
      bytesDone: this.#bytesDone,
      bytesTotal: this.#bytesTotal,
      bytesResumed: this.#bytesResumed,
      tensor,
      tensorsDone: this.#tensorsDone,
      tensorsTotal: this.#left.length,
      bytesPerSecond,
      eta: bytesPerSecond > 0 ? (this.#bytesTotal - this.#bytesDone) / bytesPerSecond : 0,
    };
  }

  #speed(): number {
    const now = { time: performance.now(), bytes: this.#bytesDone - this.#bytesResumed };
    const last = this.#samples.at(-1);
    // Thousands of tensors may be done in a second.
    if (!last || this.#samples.length === 1 || now.time - last.time >= SAMPLE_EVERY) this.#samples.push(now);
    while (this.#samples.length > 2 && now.time - (this.#samples[1]?.time ?? now.time) > WINDOW * 1000) {
      this.#samples.shift();
    }
    const [first = now] = this.#samples;
    const seconds = (now.time - first.time) / 1000;
    return seconds > 0 ? (now.bytes - first.bytes) / seconds : 0;
  }
}
