/** How far a conversion is, and how fast. */

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

/** Measures how fast a conversion is. */
export class SpeedMeter {
  readonly #samples: { time: number; bytes: number }[] = [{ time: performance.now(), bytes: 0 }];

  /** Progress with the speed that it means. */
  of(progress: Omit<Progress, 'bytesPerSecond' | 'eta'>): Progress {
    const { bytesDone, bytesTotal, bytesResumed } = progress;
    const bytesPerSecond = this.#speed(bytesDone - bytesResumed);
    const eta = bytesPerSecond > 0 ? (bytesTotal - bytesDone) / bytesPerSecond : 0;
    return { ...progress, bytesPerSecond, eta };
  }

  #speed(bytes: number): number {
    const now = { time: performance.now(), bytes };
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
