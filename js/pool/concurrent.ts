/** Many tasks through one runner: as many at once as it is wide, all stopped by the first that fails. */

import type { Runner } from './pool.js';

/**
 * Does `each` for everything in `work`, in order of beginning. The caller's signal or the first failure ends all of it, also
 * what waits for a source that is stuck. The runner is closed in any case.
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
