/** Output paths in Node: which ones are rejected, where links lead, and the names of partial files. */

import type { Stats } from 'node:fs';
import { QuantpressError } from '../engine/error.js';
import { builtin } from '../engine/platform.js';
import { systemError } from './system-error.js';

const fs = () => builtin('node:fs/promises');
const path = () => builtin('node:path');

/** Rejects a string that cannot be the path of a file, before any work. */
export function expectFilePath(name: string): void {
  if (name === '')
    throw new QuantpressError('ARGUMENT', 'the path of the target is empty: give a file name', { path: name });
  const ending = builtin('node:process')?.platform === 'win32' ? /[/\\]$/ : /\/$/;
  if (!ending.test(name)) return;
  const message = `cannot write '${name}': it is not the path of a file; add a file name`;
  throw new QuantpressError('ARGUMENT', message, { path: name });
}

/** The number of links that are followed, as in Linux. */
const MAX_LINKS = 40;

/**
 * The path that a symbolic link leads to, so that the link stays and its target is written. The target of a dangling
 * link is created. Returns `name` itself if it is not a link.
 *
 * @throws {@link QuantpressError} `ARGUMENT` if the links form a cycle.
 */
export async function destination(name: string): Promise<string> {
  let at = name;
  for (let links = 0; links <= MAX_LINKS; links++) {
    const real = await fs()
      .realpath(at)
      .catch(() => undefined);
    if (real !== undefined) return real;
    const link = await fs()
      .readlink(at)
      .catch(() => undefined);
    if (link === undefined) return at;
    const folder = path().dirname(at);
    // `..` in a link is relative to the real folder of the link.
    const parent = await fs()
      .realpath(folder)
      .catch(() => folder);
    at = path().resolve(parent, link);
  }
  throw new QuantpressError('ARGUMENT', `cannot write '${name}': its symbolic links form a cycle`, { path: name });
}

/** The problem of a name that no file can have. */
const IMPOSSIBLE: readonly unknown[] = ['ENAMETOOLONG', 'ENOTDIR', 'ELOOP'];

/**
 * The stats of a path, or `undefined` if nothing is there or it is not accessible; fails for a path that no file can
 * have.
 */
export async function statOf(name: string): Promise<Stats | undefined> {
  try {
    return await fs().stat(name);
  } catch (error) {
    if (error instanceof Error && 'code' in error && IMPOSSIBLE.includes(error.code)) {
      throw systemError(error, `cannot write '${name}'`, { path: name });
    }
    return undefined;
  }
}

/** The kind of a file that is not a regular one: "a directory". */
export function kindOf(stats: Stats): string | undefined {
  if (stats.isFile()) return undefined;
  if (stats.isDirectory()) return 'a directory';
  if (stats.isSocket()) return 'a socket';
  if (stats.isFIFO()) return 'a named pipe';
  return 'a device';
}

/** Names up to this many bytes are used unchanged; every file system accepts them with an owner and a suffix. */
const LONGEST_NAME = 64;
const LONGEST_PREFIX = 32;

/** `name` as it is used in the names of its partial files: a long name is shortened to its beginning and a hash. */
export function shortName(name: string): string {
  const bytes = (text: string) => new TextEncoder().encode(text).length;
  if (bytes(name) <= LONGEST_NAME) return name;
  let prefix = '';
  for (const character of name) {
    if (bytes(prefix) + bytes(character) > LONGEST_PREFIX) break;
    prefix += character;
  }
  const hash = builtin('node:crypto').createHash('sha256').update(name).digest('hex').slice(0, 16);
  return `${prefix}~${hash}`;
}
