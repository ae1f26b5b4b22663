/** Runs many tasks on one runner, concurrently up to its width; the first failure stops all. */

import type { Runner } from './pool.js';

/**
 * Calls `each` for everything that `next` returns, started in order: `null` means to wait until another one is done, and
 * `undefined` that there is nothing left. The caller's signal or the first failure ends all of it, even if a source is
 * stuck. The runner is always closed.
 */
export async function inLanes<T>(
  runner: Runner,
  next: () => T | null | undefined,
  callers: AbortSignal | undefined,
  each: (item: T, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const stop = new AbortController();
  const { signal } = stop;
  const stopped = () => stop.abort(callers?.reason);
  const failed = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  const idle: (() => void)[] = [];
  const wake = () => {
    for (const resolve of idle.splice(0)) resolve();
  };
  const lane = async () => {
    while (!signal.aborted) {
      const item = next();
      if (item === undefined) return;
      if (item === null) await new Promise<void>((resolve) => idle.push(resolve));
      else await each(item, signal).catch((error: unknown) => stop.abort(error));
      if (item !== null) wake();
    }
  };
  const work = () => lane().catch((error: unknown) => stop.abort(error));
  if (callers?.aborted) stopped();
  callers?.addEventListener('abort', stopped, { once: true });
  try {
    await Promise.race([failed, Promise.all(Array.from({ length: runner.width }, work))]);
    signal.throwIfAborted();
  } finally {
    callers?.removeEventListener('abort', stopped);
    await runner.close(signal.reason);
  }
}

/** The items of an iterator for {@link inLanes}. */
export function nextOf<T>(items: Iterator<T>): () => T | undefined {
  return () => {
    const { done, value } = items.next();
    return done ? undefined : value;
  };
}
