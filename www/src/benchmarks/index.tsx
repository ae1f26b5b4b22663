import { useEffect } from 'preact/hooks';
import { Accuracy, accuracy } from './accuracy.tsx';
import { Speed, speed } from './speed.tsx';
import { Suite, suite } from './suite.tsx';
import './benchmarks.css';

const ALL = [suite, accuracy, speed] as const;

/** The benchmarks: error by bit width, accuracy after quantization, speed of this machine. */
export default function Benchmarks() {
  useEffect(
    () => () => {
      // The view has been closed.
      for (const job of ALL) job.stop();
    },
    [],
  );
  const running = ALL.some(({ state }) => state.value === 'running');
  return (
    <article class="benchmarks">
      <header class="intro">
        <h2>Benchmarks</h2>
        <p class="soft">
          Measured in a worker of this tab, with the engine that shrinks whole models. Errors and accuracies are the
          same on every machine; speeds are those of this one.
        </p>
        <div class="actions">
          <button type="button" disabled={running} onClick={() => void runAll()}>
            Run all three
          </button>
        </div>
      </header>
      <Suite />
      <Accuracy />
      <Speed />
    </article>
  );
}

/** One after the other: concurrent benchmarks would disturb each other. */
async function runAll(): Promise<void> {
  for (const job of ALL) {
    await job.start();
    await new Promise<void>((resolve) => {
      const stop = job.state.subscribe((state) => {
        if (state === 'running') return;
        resolve();
        queueMicrotask(() => stop());
      });
    });
    if (job.state.value !== 'done') return;
  }
}
