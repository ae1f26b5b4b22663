/** Runs tasks in workers or in this thread; callers need not know which. */

import { QuantpressError } from '../engine/error.js';
import { canStartThreads, carriesWorker, startThread, type Thread } from './thread.js';
import { isBytes } from '../engine/cross-realm.js';
import { expectCount } from '../engine/check.js';
import { count, unchecked, type ReaderTable } from '../engine/options.js';
import { breathe, cores } from '../engine/platform.js';
import type { Source } from '../io/source/source.js';
import { unpackError, type FromWorker, type Result, type Results, type Task } from './protocol.js';
import { readInput, Workbench } from './tasks.js';

/** Runs tasks on a source. */
export interface Runner {
  /** The useful number of concurrent tasks. */
  readonly width: number;
  /** Runs one task. */
  run<T extends Task>(task: T, signal: AbortSignal): Promise<Results[T['kind']]>;
  /** Ends all work at once; running tasks are rejected with `reason`. */
  close(reason: unknown): Promise<void>;
}

/** What `createRunner` needs. */
export interface RunnerOptions {
  /** The number of workers; 0 runs in this thread. By default the number of cores, up to 8. */
  workers?: number | undefined;
  /** The URL of the worker's file, if it is not next to this one. */
  workerUrl?: URL | string | undefined;
}

/** @internal Shared by all functions that take them. */
export const RUNNER_OPTIONS: ReaderTable<RunnerOptions> = { workers: count, workerUrl: unchecked };

/** The default maximum: more workers would only wait for memory and disk. */
const MOST_BY_DEFAULT = 8;

/** The signal of a task that is rejected by the pool itself. */
const NEVER = /* @__PURE__ */ new AbortController().signal;

/** Two tasks for each worker: while one runs, the bytes of the next are read. */
const TASKS_PER_WORKER = 2;

/** Returns a pool of workers, or a runner in this thread if `workers` is 0 or none can be started. */
export function createRunner(source: Source, module: WebAssembly.Module, options: RunnerOptions = {}): Runner {
  const workers = options.workers ?? (canStartThreads() ? Math.min(cores(), MOST_BY_DEFAULT) : 0);
  expectCount('workers', workers);
  return workers === 0 ? new ThisThread(source) : new Pool(workers, source, module, options.workerUrl);
}

/** Runs tasks in this thread. It yields between tasks, so that timers and a cancel button work. */
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
  /** Whether it has answered: it is loaded and may receive transferred buffers. */
  proven: boolean;
}

/** Workers that are started on demand and replaced if they fail. */
class Pool implements Runner {
  readonly #size: number;
  readonly #source: Source;
  readonly #module: WebAssembly.Module;
  readonly #script: URL | string | undefined;
  readonly #members = new Set<Member>();
  readonly #queue: Pending[] = [];
  #closed: { reason: unknown } | undefined;
  #lastId = 0;
  /** Runs tasks if workers are forbidden. */
  #here: ThisThread | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(size: number, source: Source, module: WebAssembly.Module, script?: URL | string) {
    this.#size = size;
    this.#source = source;
    this.#module = module;
    this.#script = script;
  }

  get width(): number {
    return this.#size * TASKS_PER_WORKER;
  }

  /** Whether a worker that fails before its first answer means that workers cannot be started. */
  get #isOptional(): boolean {
    return this.#script === undefined && carriesWorker();
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

  /** Workers cannot open every source: then this thread reads the bytes and posts them. */
  async #readHere({ input }: Task, signal: AbortSignal): Promise<Task['input']> {
    if (isBytes(input) || this.#source.describe?.()) return input;
    return readInput(this.#source, input, signal);
  }

  /** One after the other: this thread holds the memory of one task. */
  #runHere(here: ThisThread, { task, resolve, reject }: Pending): void {
    const done = this.#turn.then(() => {
      if (this.#closed) throw this.#closed.reason;
      return here.run(task, NEVER);
    });
    this.#turn = done.then(resolve, reject);
  }

  #dispatch(): void {
    if (this.#here) {
      for (const pending of this.#queue.splice(0)) this.#runHere(this.#here, pending);
      return;
    }
    while (this.#queue.length > 0) {
      const member = this.#startOrFind();
      if (this.#here) {
        this.#dispatch();
        return;
      }
      const pending = member && this.#queue.shift();
      if (!pending) return;
      const id = ++this.#lastId;
      member.tasks.set(id, pending);
      const { input } = pending.task;
      // Bytes that are transferred to a worker that never loads are lost.
      const moved = isBytes(input) && (member.proven || !this.#isOptional) ? [input.buffer] : [];
      member.thread.post({ type: 'run', id, task: pending.task }, moved);
    }
  }

  /**
   * {@link #freeMember}, but starting a worker may throw: some browsers immediately report a policy that forbids it.
   */
  #startOrFind(): Member | undefined {
    try {
      return this.#freeMember();
    } catch (cause) {
      if (this.#isOptional) {
        this.#here = new ThisThread(this.#source);
        return undefined;
      }
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new QuantpressError('WORKER', `a worker cannot be started: ${reason}`, {}, { cause });
    }
  }

  /** An idle worker, otherwise a new one, otherwise the least busy one, if it can take more. */
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
    const member: Member = { thread, tasks, proven: false };
    this.#members.add(member);
    thread.post({ type: 'start', module: this.#module, source: this.#source.describe?.() }, []);
    return member;
  }

  #receive(member: Member, message: FromWorker): void {
    member.proven = true;
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

  /** Removes a failed worker. The next task that needs one starts another. */
  #drop(member: Member, error: QuantpressError): void {
    if (!this.#members.delete(member)) return;
    void member.thread.terminate();
    const tasks = [...member.tasks.values()];
    if (!member.proven && this.#isOptional) {
      this.#here ??= new ThisThread(this.#source);
      this.#queue.unshift(...tasks);
    } else {
      for (const { reject } of tasks) reject(error);
    }
    this.#dispatch();
  }
}
