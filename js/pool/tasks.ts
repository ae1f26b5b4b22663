/** Runs tasks, in a worker or in the caller's own thread. */

import { isBytes } from '../engine/cross-realm.js';
import { readInto, type Source } from '../io/source/source.js';
import { call } from '../engine/wasm.js';
import type { ByteRange, ConvertTask, Results, Task, TaskInput } from './protocol.js';

/** Runs the tasks of one thread; it keeps the source and the buffers. */
export class Workbench {
  readonly #source: Source | undefined;
  /** Free input buffers: one for the running task, one for the task that is being read. */
  readonly #spare: ArrayBuffer[] = [];

  constructor(source: Source | undefined) {
    this.#source = source;
  }

  /** Runs one task. The result's buffer may be transferred. */
  async run<T extends Task>(task: T): Promise<Results[T['kind']]> {
    const work = TASKS[task.kind] as unknown as (bench: Workbench, task: T) => Promise<Results[T['kind']]>;
    return work(this, task);
  }

  /** Calls `use` with the bytes of an input. They are valid until it returns. */
  async withInput<T>(input: TaskInput, use: (bytes: Uint8Array<ArrayBuffer>) => T): Promise<T> {
    if (isBytes(input)) return use(input);
    const source = this.#sourceOfRanges();
    const length = lengthOf(input);
    const buffer = this.#take(length);
    try {
      const bytes = new Uint8Array(buffer, 0, length);
      await readRanges(source, input, bytes);
      return use(bytes);
    } finally {
      this.#spare.push(buffer);
    }
  }

  /** Runs a task of a conversion. Bytes that pass through are transferred with the buffer they were read into. */
  async convert({ input, task, passes }: ConvertTask): Promise<Results['convert']> {
    const run = (bytes: Uint8Array) =>
      call((engine) => engine.runTask(task, bytes)) as { found: Results['convert']['found']; bytes: typeof task };
    if (!passes) return this.withInput(input, run);
    const bytes = isBytes(input) ? input : await readInput(this.#sourceOfRanges(), input);
    return { bytes, found: run(bytes).found };
  }

  #sourceOfRanges(): Source {
    if (!this.#source) throw new TypeError('a range was sent to a worker without a source');
    return this.#source;
  }

  #take(length: number): ArrayBuffer {
    const spare = this.#spare.pop();
    return spare !== undefined && spare.byteLength >= length ? spare : new ArrayBuffer(length);
  }
}

/** The number of bytes of an input. */
function lengthOf(input: Exclude<TaskInput, Uint8Array>): number {
  return rangesOf(input).reduce((sum, { length }) => sum + length, 0);
}

/** Reads the ranges of an input, one after the other, into `bytes`. */
async function readRanges(
  source: Source,
  input: Exclude<TaskInput, Uint8Array>,
  bytes: Uint8Array<ArrayBuffer>,
  signal?: AbortSignal,
): Promise<void> {
  let at = 0;
  const reads = rangesOf(input).map(({ offset, length }) => {
    at += length;
    return readInto(source, bytes.subarray(at - length, at), offset, signal);
  });
  await Promise.all(reads);
}

/** @internal Reads an input in this thread, for a worker that cannot. */
export async function readInput(
  source: Source,
  input: Exclude<TaskInput, Uint8Array>,
  signal?: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(lengthOf(input));
  await readRanges(source, input, bytes, signal);
  return bytes;
}

function rangesOf(input: Exclude<TaskInput, Uint8Array>): readonly ByteRange[] {
  return 'offset' in input ? [input] : input;
}

const TASKS: { [K in Task['kind']]: (bench: Workbench, task: Extract<Task, { kind: K }>) => Promise<Results[K]> } = {
  convert: (bench, task) => bench.convert(task),
  measure: (bench, { input, measure }) =>
    bench.withInput(input, (bytes) => call((engine) => engine.measure(measure, bytes)) as Results['measure']),
  compare: (bench, { input, from, other, otherType }) =>
    bench.withInput(input, (bytes) => {
      return call((engine) => engine.differenceOf(bytes, from, other, otherType)) as Results['compare'];
    }),
};
