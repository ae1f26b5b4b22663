/** The processor time of child processes, as far as the system tells it (Linux). */

import { AsyncLocalStorage } from 'node:async_hooks';
import { readFileSync } from 'node:fs';

/** @type {AsyncLocalStorage<{ seconds: number }>} */
const meters = new AsyncLocalStorage();

/** Clock ticks per second, as Linux reports them to programs. */
const TICKS = 100;

/** The seconds of all children that have ended, and of theirs; `undefined` on other systems. */
function childSeconds() {
  try {
    const fields = readFileSync('/proc/self/stat', 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    // Fields 16 and 17 of proc_pid_stat(5): cutime and cstime; the first of `fields` is field 3.
    return (Number(fields[13]) + Number(fields[14])) / TICKS;
  } catch {
    return undefined;
  }
}

let counted = 0;

/** Returns a function to call as soon as a child has ended: its time counts for the work that started it. */
export function meterChild() {
  const meter = meters.getStore();
  return () => {
    const now = childSeconds();
    if (now === undefined) return;
    if (meter) meter.seconds += now - counted;
    counted = now;
  };
}

/**
 * Does `work` and measures its children.
 * @template T
 * @param {() => Promise<T>} work
 * @returns {Promise<{ result: T, seconds: number | undefined }>}
 */
export async function metered(work) {
  const meter = { seconds: 0 };
  const result = await meters.run(meter, work);
  return { result, seconds: childSeconds() === undefined ? undefined : meter.seconds };
}
