import { useEffect } from 'preact/hooks';
import { Accuracy, accuracy } from './accuracy.tsx';
import { Speed, speed } from './speed.tsx';
import { Suite, suite } from './suite.tsx';
import './benchmarks.css';

const ALL = [suite, accuracy, speed] as const;

/** Measured here: what bits buy, what is left of a skill, how fast this machine is. */
export default function Benchmarks() {
  useEffect(
    () => () => {
      // Nobody watches any more.
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

/** One after the other: together they would measure each other. */
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
