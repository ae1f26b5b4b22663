/** Whose an unfinished file is: of a run that is alive, or of one that was killed. */

import { builtin } from '../../engine/platform.js';

/** A file of a run on another machine (or before this one was started anew) is left alone while it is younger: milliseconds. */
export const FOREIGN_PATIENCE = 60_000;

/** How often a run shows that it is alive: milliseconds. */
export const HEARTBEAT = 10_000;

let counter = 0;

/**
 * A name for one target of this process that no other has: the machine, the process, when that was started, and a number.
 * The name is in the names of the files: so taking them over is a rename, which only one of several can do.
 */
export function newOwner(): string {
  const pid = builtin('node:process').pid;
  return [machine(), pid, startOf(pid) ?? 0, `${counter++}${crypto.randomUUID().slice(0, 4)}`].join('-');
}

/** An {@link newOwner owner} in the name of a file. */
export const OWNER = '[0-9a-f]{8}-\\d{1,10}-\\d{1,20}-\\d{1,10}[0-9a-f]{4}';

/** Whether the run that an owner's name is of may still be at work. `idle`: milliseconds since it last wrote. */
export function isAlive(owner: string, idle: number): boolean {
  const [where, pid = '', start] = owner.split('-');
  if (where !== machine()) return idle < FOREIGN_PATIENCE;
  const exists = processExists(Number(pid));
  // Where this process may not ask (Deno), it is as on another machine.
  if (exists === undefined) return idle < FOREIGN_PATIENCE;
  if (!exists) return false;
  // A number of a process is used again: then it was started at another time.
  const now = startOf(Number(pid));
  return now === undefined || start === '0' || start === now;
}

function processExists(pid: number): boolean | undefined {
  try {
    builtin('node:process').kill(pid, 0);
    return true;
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'EPERM') return true;
    return code === 'ESRCH' ? false : undefined;
  }
}

/** When a process was started, in ticks since the system was (Linux). */
function startOf(pid: number): string | undefined {
  const stat = text(`/proc/${pid}/stat`);
  // The second field is the program's name in parentheses, and may hold anything; the 22nd is the start.
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
}

let known: string | undefined;

/** What numbers of processes belong to: the machine, since it was started, and the container. */
function machine(): string {
  if (known !== undefined) return known;
  const { createHash } = builtin('node:crypto');
  const boot = text('/proc/sys/kernel/random/boot_id') ?? '';
  const parts = [hostname(), boot, link('/proc/self/ns/pid')];
  known = createHash('sha256').update(parts.join('\n')).digest('hex').slice(0, 8);
  return known;
}

/** Deno asks for a permission of its own, and does without. */
function hostname(): string {
  try {
    return builtin('node:os').hostname();
  } catch {
    return '';
  }
}

function text(path: string): string | undefined {
  try {
    return builtin('node:fs').readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
}

function link(path: string): string {
  try {
    return builtin('node:fs').readlinkSync(path);
  } catch {
    return '';
  }
}
