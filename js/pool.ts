/** Runs tasks in workers, or in this thread: whoever asks need not know which. */

import { QuantpressError } from './error.js';
import { canStartThreads, startThread, type Thread } from './pool-thread.js';
import { breathe, cores } from './runtime.js';
import type { Source } from './source.js';
import { unpackError, type FromWorker, type Result, type Results, type Task } from './worker-protocol.js';
import { readInput, Workbench } from './worker-tasks.js';

/** Runs tasks on a source. */
export interface Runner {
  /** How many tasks are worth having under way. */
  readonly width: number;
  /** Does one piece of work. */
  run<T extends Task>(task: T, signal: AbortSignal): Promise<Results[T['kind']]>;
  /** Ends all work at once; what is under way is rejected with `reason`. */
  close(reason: unknown): Promise<void>;
}

/** What `createRunner` needs. */
export interface RunnerOptions {
  /** How many workers; 0 means this thread. Unless told, as many as there are cores, up to 8. */
  workers?: number | undefined;
  /** Where the worker's file is, when that is not beside this one. */
  workerUrl?: URL | string | undefined;
}

/** More workers than this wait for memory and disk rather than for each other. */
const MOST_BY_DEFAULT = 8;

/** Two tasks for each worker: while one is at work, the bytes of the next are read. */
const TASKS_PER_WORKER = 2;

/** A pool of workers, or this thread if it shall be or if it cannot start any. */
export function createRunner(source: Source, module: WebAssembly.Module, options: RunnerOptions = {}): Runner {
  const workers = options.workers ?? (canStartThreads() ? Math.min(cores(), MOST_BY_DEFAULT) : 0);
  if (!Number.isInteger(workers) || workers < 0) {
    throw new QuantpressError('RANGE', `workers must be a whole number from 0 up, and is ${workers}`, { workers });
  }
  return workers === 0 ? new ThisThread(source) : new Pool(workers, source, module, options.workerUrl);
}

/** The work done here. Between tasks the thread is let go, so that timers and a cancel button work. */
class ThisThread implements Runner {
  readonly width = 1;
  readonly #bench: Workbench;

  constructor(source: Source) {
    this.#bench = new Workbench(source);
  }

  async run<T extends Task>(task: T, signal: AbortSignal): Promise<Results[T['kind']]> {
    await breathe();
    signal.throwIfAborted();
    return this.#bench.run(task);
  }

  async close(): Promise<void> {}
}

interface Pending {
  task: Task;
  resolve(result: Result): void;
  reject(reason: unknown): void;
}

interface Member {
  thread: Thread;
  tasks: Map<number, Pending>;
}

/** Workers that are started when there is work for them, and replaced when they fail. */
class Pool implements Runner {
  readonly #size: number;
  readonly #source: Source;
  readonly #module: WebAssembly.Module;
  readonly #script: URL | string | undefined;
  readonly #members = new Set<Member>();
  readonly #queue: Pending[] = [];
  #closed: { reason: unknown } | undefined;
  #lastId = 0;

  constructor(size: number, source: Source, module: WebAssembly.Module, script?: URL | string) {
    this.#size = size;
    this.#source = source;
    this.#module = module;
    this.#script = script;
  }

  get width(): number {
    return this.#size * TASKS_PER_WORKER;
  }

  async run<T extends Task>(task: T, signal: AbortSignal): Promise<Results[T['kind']]> {
    const input = await this.#readHere(task, signal);
    if (this.#closed) throw this.#closed.reason;
    return new Promise((resolve, reject) => {
      this.#queue.push({ task: { ...task, input }, resolve: resolve as Pending['resolve'], reject });
      this.#dispatch();
    });
  }

  async close(reason: unknown): Promise<void> {
    this.#closed ??= { reason };
    const members = [...this.#members];
    this.#members.clear();
    const pending = [...this.#queue.splice(0), ...members.flatMap(({ tasks }) => [...tasks.values()])];
    for (const { reject } of pending) reject(reason);
    await Promise.all(members.map(({ thread }) => thread.terminate()));
  }

  /** Workers cannot open every source: then its bytes are read in this thread and handed over. */
  async #readHere({ input }: Task, signal: AbortSignal): Promise<Task['input']> {
    if (input instanceof Uint8Array || this.#source.describe?.()) return input;
    return readInput(this.#source, input, signal);
  }

  #dispatch(): void {
    while (this.#queue.length > 0) {
      const member = this.#freeMember();
      const pending = member && this.#queue.shift();
      if (!pending) return;
      const id = ++this.#lastId;
      member.tasks.set(id, pending);
      const { input } = pending.task;
      member.thread.post({ type: 'run', id, task: pending.task }, input instanceof Uint8Array ? [input.buffer] : []);
    }
  }

  /** An idle worker, else a new one, else the one with least to do, if it can take more. */
  #freeMember(): Member | undefined {
    const [least] = [...this.#members].sort((a, b) => a.tasks.size - b.tasks.size);
    if (least?.tasks.size === 0) return least;
    if (this.#members.size < this.#size) return this.#addMember();
    return least && least.tasks.size < TASKS_PER_WORKER ? least : undefined;
  }

  #addMember(): Member {
    const tasks: Member['tasks'] = new Map();
    const thread = startThread(
      {
        message: (message) => this.#receive(member, message),
        failed: (reason) => this.#drop(member, new QuantpressError('WORKER', `a worker failed: ${reason}`, {})),
      },
      this.#script,
    );
    const member = { thread, tasks };
    this.#members.add(member);
    thread.post({ type: 'start', module: this.#module, source: this.#source.describe?.() }, []);
    return member;
  }

  #receive(member: Member, message: FromWorker): void {
    const pending = member.tasks.get(message.id);
    member.tasks.delete(message.id);
    if (message.type === 'done') {
      pending?.resolve(message.result);
    } else {
      const error = unpackError(message.error);
      pending?.reject(error);
      if (message.poisoned) this.#drop(member, error);
    }
    this.#dispatch();
  }

  /** Takes a worker out that can do no more. Its place is free: the next task that needs one starts another. */
  #drop(member: Member, error: QuantpressError): void {
    if (!this.#members.delete(member)) return;
    void member.thread.terminate();
    for (const { reject } of member.tasks.values()) reject(error);
    this.#dispatch();
  }
}
