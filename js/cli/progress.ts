/** The progress of a conversion on stderr: a bar on a terminal, a line now and then elsewhere. */

import { bytes, clock, printable } from './text.js';
import type { Progress } from '../model/quantize/progress.js';

/** Shows progress and removes it again. */
export interface Display {
  show(progress: Progress): void;
  /** Progress of work that is not counted in bytes. */
  step(progress: Steps): void;
  clear(): void;
}

/** How many steps are done, and the tensor of the last one. */
export interface Steps {
  tensor: string;
  done: number;
  total: number;
}

const BAR = 24;

/** Milliseconds between two drawings of the bar. */
const PAUSE = 80;

/** The display for a terminal or for another kind of stderr. */
export function createDisplay(stream: NodeJS.WriteStream, quiet: boolean): Display {
  if (quiet) return { show() {}, step() {}, clear() {} };
  return stream.isTTY ? new Bar(stream) : new Lines(stream);
}

class Bar implements Display {
  readonly #stream: NodeJS.WriteStream;
  #drawn = 0;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  show(progress: Progress): void {
    const speed = `${bytes(Math.round(progress.bytesPerSecond))}/s`;
    this.#draw(share(progress), `${speed}  ${clock(progress.eta)} left  ${printable(progress.tensor)}`);
  }

  step({ tensor, done, total }: Steps): void {
    this.#draw(done / total, printable(tensor));
  }

  #draw(done: number, what: string): void {
    const now = performance.now();
    if (this.#drawn > 0 && now - this.#drawn < PAUSE) return;
    this.#drawn = now;
    const full = Math.round(done * BAR);
    const text = `${'█'.repeat(full)}${'░'.repeat(BAR - full)} ${percent(done)}  ${what}`;
    this.#stream.write(`\r\u001b[2K${text.slice(0, (this.#stream.columns ?? 80) - 1)}`);
  }

  clear(): void {
    if (this.#drawn > 0) this.#stream.write('\r\u001b[2K');
  }
}

class Lines implements Display {
  readonly #stream: NodeJS.WriteStream;
  #tenths = 0;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  show(progress: Progress): void {
    const { tensorsDone, tensorsTotal } = progress;
    this.#write(share(progress), `${tensorsDone} of ${tensorsTotal} tensors`);
  }

  step({ tensor, done, total }: Steps): void {
    this.#write(done / total, printable(tensor));
  }

  #write(done: number, what: string): void {
    const tenths = Math.floor(done * 10);
    if (tenths <= this.#tenths) return;
    this.#tenths = tenths;
    this.#stream.write(`${percent(done)}  ${what}\n`);
  }

  clear(): void {}
}

function share({ bytesDone, bytesTotal }: Progress): number {
  return bytesTotal > 0 ? bytesDone / bytesTotal : 1;
}

function percent(share: number): string {
  return `${Math.floor(share * 100)}%`.padStart(4);
}
