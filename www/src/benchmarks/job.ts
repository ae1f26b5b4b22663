/** A benchmark that runs in its own worker: start, progress, stop. */

import { batch, type Signal, signal } from '@preact/signals';
import type { Kind, Orders, Rows } from './steps.ts';
import type { Order, Told } from './worker.ts';

export type State = 'idle' | 'running' | 'done' | 'stopped' | 'failed';

/** A benchmark. Its rows are kept while the page is open. */
export interface Job<K extends Kind> {
  readonly kind: K;
  readonly state: Signal<State>;
  readonly progress: Signal<number>;
  readonly rows: Signal<readonly Rows[K][]>;
  readonly problem: Signal<string | undefined>;
  /** Seconds that the last run took. */
  readonly seconds: Signal<number | undefined>;
  start(): Promise<void>;
  stop(): void;
}

/** A benchmark, and the function that creates its request when it is started. */
export function job<K extends Kind>(kind: K, order: () => Orders[K] | Promise<Orders[K]>): Job<K> {
  const state = signal<State>('idle');
  const progress = signal(0);
  const rows = signal<readonly Rows[K][]>([]);
  const problem = signal<string | undefined>(undefined);
  const seconds = signal<number | undefined>(undefined);
  let worker: Worker | undefined;
  const end = (how: State, why?: string): void => {
    worker?.terminate();
    worker = undefined;
    batch(() => {
      state.value = how;
      problem.value = why;
    });
  };
  return {
    kind,
    state,
    progress,
    rows,
    problem,
    seconds,
    async start() {
      if (state.value === 'running') return;
      batch(() => {
        state.value = 'running';
        progress.value = 0;
        rows.value = [];
        problem.value = undefined;
        seconds.value = undefined;
      });
      const from = performance.now();
      try {
        const asked: Order<K> = { kind, order: await order() };
        // Stopped while the request was being created.
        if (state.peek() !== 'running') return;
        worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });
        worker.addEventListener('message', ({ data }: MessageEvent<Told<K>>) => {
          if ('failed' in data) return end('failed', data.failed);
          if ('end' in data) {
            seconds.value = (performance.now() - from) / 1000;
            return end('done');
          }
          batch(() => {
            progress.value = data.step.done / data.step.total;
            rows.value = [...rows.value, ...data.step.rows];
          });
        });
        const broken = (): void => end('failed', 'The benchmark’s worker could not be started or failed. Try again.');
        worker.addEventListener('error', broken);
        worker.addEventListener('messageerror', broken);
        worker.postMessage(asked);
      } catch (error) {
        end('failed', error instanceof Error ? error.message : String(error));
      }
    },
    stop() {
      if (state.value === 'running') end('stopped');
    },
  };
}
