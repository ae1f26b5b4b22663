/** The work itself, the same in a worker and in the caller's own thread. */

import { readInto, type Source } from './source.js';
import { call } from './wasm.js';
import type { EncodeTask, Results, Task, TaskInput } from './worker-protocol.js';

/** Runs tasks of one thread, whose source and buffers it keeps. */
export class Workbench {
  readonly #source: Source | undefined;
  /** Input buffers that are not in use: one for the task at work, one for the task that is being read. */
  readonly #spare: ArrayBuffer[] = [];

  constructor(source: Source | undefined) {
    this.#source = source;
  }

  /** Does one piece of work. The result's buffer may be transferred. */
  async run<T extends Task>(task: T): Promise<Results[T['kind']]> {
    return TASKS[task.kind](this, task);
  }

  /** Calls `use` with the bytes of an input. They are good until it returns. */
  async withInput<T>(input: TaskInput, use: (bytes: Uint8Array<ArrayBuffer>) => T): Promise<T> {
    if (input instanceof Uint8Array) return use(input);
    if (!this.#source) throw new TypeError('a range was sent to a worker without a source');
    const buffer = this.#take(input.length);
    try {
      const bytes = new Uint8Array(buffer, 0, input.length);
      await readInto(this.#source, bytes, input.offset);
      return use(bytes);
    } finally {
      this.#spare.push(buffer);
    }
  }

  #take(length: number): ArrayBuffer {
    const spare = this.#spare.pop();
    return spare !== undefined && spare.byteLength >= length ? spare : new ArrayBuffer(length);
  }
}

const TASKS: { [K in Task['kind']]: (bench: Workbench, task: Extract<Task, { kind: K }>) => Promise<Results[K]> } = {
  encode: (bench, task) => bench.withInput(task.input, (bytes) => encode(bytes, task)),
};

function encode(bytes: Uint8Array<ArrayBuffer>, { from, to, rowLength, headRows, importance }: EncodeTask) {
  return call((engine) =>
    engine.encodeTile(bytes, from, to, rowLength, importance, headRows),
  ) as Uint8Array<ArrayBuffer>;
}
