/** Tells whether the run that owns a partial file is alive or was killed. */

import { builtin } from '../../engine/platform.js';

/**
 * A file of a run on another machine (or before a reboot) is not touched while it is younger than this: milliseconds.
 */
export const FOREIGN_PATIENCE = 60_000;

/** The interval in which a run shows that it is alive: milliseconds. */
export const HEARTBEAT = 10_000;

let counter = 0;

/**
 * A unique name for a target of this process: the machine, the process, its start time, and a number. It is part of the
 * file names, so files are taken over by a rename, which only one of several runs can do.
 */
export function newOwner(): string {
  const pid = builtin('node:process').pid;
  return [machine(), pid, startOf(pid) ?? 0, `${counter++}${crypto.randomUUID().slice(0, 4)}`].join('-');
}

/** An {@link newOwner owner} in the name of a file. */
export const OWNER = '[0-9a-f]{8}-\\d{1,10}-\\d{1,20}-\\d{1,10}[0-9a-f]{4}';

/** Whether the run of an owner may still be alive. `idle`: milliseconds since it last wrote. */
export function isAlive(owner: string, idle: number): boolean {
  const [where, pid = '', start] = owner.split('-');
  if (where !== machine()) return idle < FOREIGN_PATIENCE;
  const exists = processExists(Number(pid));
  // If this process has no permission to check (Deno), the run is treated as one on another machine.
  if (exists === undefined) return idle < FOREIGN_PATIENCE;
  if (!exists) return false;
  // Process ids are reused, with another start time.
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

/** The start time of a process, in ticks since the system's start (Linux). */
function startOf(pid: number): string | undefined {
  const stat = text(`/proc/${pid}/stat`);
  // The second field is the program's name in parentheses, which may contain anything; the 22nd is the start time.
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
}

let known: string | undefined;

/** The scope of process ids: the machine, its current boot, and the container. */
function machine(): string {
  if (known !== undefined) return known;
  const { createHash } = builtin('node:crypto');
  const boot = text('/proc/sys/kernel/random/boot_id') ?? '';
  const parts = [hostname(), boot, link('/proc/self/ns/pid')];
  known = createHash('sha256').update(parts.join('\n')).digest('hex').slice(0, 8);
  return known;
}

/** Deno needs a separate permission, and works without it. */
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
