/** Carries out what a job of the engine's asks for: reads rows and measures them, many at once. */

import { callModel } from '../../engine/model.js';
import { inLanes } from '../../pool/concurrent.js';
import type { Runner } from '../../pool/pool.js';
import type { ByteRange } from '../../pool/protocol.js';

/** Rows to read, and what to measure of them, which only the engine reads. */
interface Step {
  id: number;
  ranges: ByteRange[];
  measure: Uint8Array<ArrayBuffer>;
}

/** A job that gives out steps: `null` to wait until another is completed, `undefined` at the end. */
interface Steps<T> {
  next(): Step | null | undefined;
  complete(id: number, found: Uint8Array): T;
}

/** Runs all steps of a job; `each` is told what the engine says of every one. The runner is closed in any case. */
export async function runSteps<T>(
  job: Steps<T>,
  runner: Runner,
  signal: AbortSignal | undefined,
  each: (completed: T) => void,
): Promise<void> {
  const next = () => callModel(() => job.next());
  await inLanes(runner, next, signal, async ({ id, ranges, measure }, signal) => {
    const [first, ...more] = ranges;
    const input = first && more.length === 0 ? first : ranges;
    const found = await runner.run({ kind: 'measure', input, measure }, signal);
    each(callModel(() => job.complete(id, found)));
  });
}
