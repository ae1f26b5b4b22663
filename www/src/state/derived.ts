/** Values that are computed in pieces, so that the page responds while a file of hundreds of thousands of tensors is summed up. */

import { effect, signal, untracked, type ReadonlySignal } from '@preact/signals';

/** A computation that pauses at each `yield`. */
export type Pieces<T> = Generator<undefined, T>;

/** The length of a turn before other work can run: milliseconds. */
const TURN = 12;

/**
 * A signal derived from what `begin` reads. A computation that takes less than a turn is done at once, as by
 * `computed`; a longer one continues in further turns, and the old value stays until it is done. Changes in the
 * meantime start the next computation only afterwards, so that values arrive even if the inputs change faster than they
 * can be computed.
 */
export function derived<T>(begin: () => Pieces<T> | undefined): ReadonlySignal<T | undefined> {
  const result = signal<T | undefined>(undefined);
  let [running, stale] = [false, false];
  const run = (pieces: Pieces<T> | undefined): void => {
    const end = performance.now() + TURN;
    for (let step = pieces?.next(); ; step = pieces?.next()) {
      if (!step || step.done) {
        running = false;
        result.value = step?.value;
        return;
      }
      if (performance.now() > end) break;
    }
    running = true;
    setTimeout(() => {
      run(pieces);
      if (running || !stale) return;
      stale = false;
      run(untracked(begin));
    });
  };
  effect(() => {
    const pieces = begin();
    if (running) stale = true;
    else untracked(() => run(pieces));
  });
  return result;
}

/** Runs a computation in turns, and waits for its end. */
export async function inTurns<T>(pieces: Pieces<T>): Promise<T> {
  for (let end = performance.now() + TURN; ; ) {
    const { done, value } = pieces.next();
    if (done) return value;
    if (performance.now() <= end) continue;
    await new Promise((resolve) => setTimeout(resolve));
    end = performance.now() + TURN;
  }
}
