/** Runs many tasks on one runner, concurrently up to its width; the first failure stops all. */

import type { Runner } from './pool.js';

/**
 * Calls `each` for everything in `work`, started in order. The caller's signal or the first failure ends all of it,
 * even if a source is stuck. The runner is always closed.
 */
export async function inLanes<T>(
  runner: Runner,
  work: Iterable<T>,
  callers: AbortSignal | undefined,
  each: (item: T, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const stop = new AbortController();
  const { signal } = stop;
  const stopped = () => stop.abort(callers?.reason);
  const failed = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  const items = work[Symbol.iterator]();
  const lane = async () => {
    for (let next = items.next(); !next.done && !signal.aborted; next = items.next()) {
      await each(next.value, signal).catch((error: unknown) => stop.abort(error));
    }
  };
  if (callers?.aborted) stopped();
  callers?.addEventListener('abort', stopped, { once: true });
  try {
    await Promise.race([failed, Promise.all(Array.from({ length: runner.width }, lane))]);
    signal.throwIfAborted();
  } finally {
    callers?.removeEventListener('abort', stopped);
    await runner.close(signal.reason);
  }
}
