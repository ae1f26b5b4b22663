/** The progress and speed of a conversion. */

/** The argument of `onProgress`, which is called for every tile that has been written. */
export interface Progress {
  /** The bytes of the source that are done, and their total. */
  bytesDone: number;
  bytesTotal: number;
  /** The bytes of these that an earlier run had already done. */
  bytesResumed: number;
  /** The tensor of the last tile. */
  tensor: string;
  /** The tensors that are complete, and their total. */
  tensorsDone: number;
  tensorsTotal: number;
  /** Bytes of the source per second, over the last few seconds. */
  bytesPerSecond: number;
  /** Seconds left at that speed. */
  eta: number;
}

/** The speed is measured over this many seconds. */
const WINDOW = 8;

/** The minimum milliseconds between two samples of the speed. */
const SAMPLE_EVERY = 20;

/** Measures how fast a conversion is. */
export class SpeedMeter {
  readonly #samples: { time: number; bytes: number }[] = [{ time: performance.now(), bytes: 0 }];

  /** Adds the speed to the progress. */
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
