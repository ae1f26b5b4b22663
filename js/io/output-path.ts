/** Paths of files that are written: which are refused, where they lead, and how unfinished files are named. Only of Node. */

import type { Stats } from 'node:fs';
import { QuantpressError } from '../engine/error.js';
import { builtin } from '../engine/platform.js';
import { systemError } from './system-error.js';

const fs = () => builtin('node:fs/promises');
const path = () => builtin('node:path');

/** Refuses what cannot be the path of a file, before any work. */
export function expectFilePath(name: string): void {
  if (name === '')
    throw new QuantpressError('ARGUMENT', 'the path of the target is empty: give a file name', { path: name });
  const ending = builtin('node:process')?.platform === 'win32' ? /[/\\]$/ : /\/$/;
  if (!ending.test(name)) return;
  const message = `cannot write '${name}': it is not the path of a file; add a file name`;
  throw new QuantpressError('ARGUMENT', message, { path: name });
}

/** Links that lead to links: as many as Linux follows. */
const MAX_LINKS = 40;

/**
 * Where a path leads, so that a symbolic link stays one and the file behind it is written: also a link to a file that does
 * not exist yet, which is then created. `name` itself if it is no link.
 *
 * @throws {@link QuantpressError} `ARGUMENT` if the links never end.
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
    // `..` in a link counts from the folder the link is really in.
    const parent = await fs()
      .realpath(folder)
      .catch(() => folder);
    at = path().resolve(parent, link);
  }
  throw new QuantpressError('ARGUMENT', `cannot write '${name}': its symbolic links form a cycle`, { path: name });
}

/** What is wrong with a name itself, so that no file can ever have it. */
const IMPOSSIBLE: readonly unknown[] = ['ENAMETOOLONG', 'ENOTDIR', 'ELOOP'];

/** What is at a path, if anything is that may be seen; fails for a path that no file can have. */
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

/** What a file is, if it is not a regular one: "a directory". */
export function kindOf(stats: Stats): string | undefined {
  if (stats.isFile()) return undefined;
  if (stats.isDirectory()) return 'a directory';
  if (stats.isSocket()) return 'a socket';
  if (stats.isFIFO()) return 'a named pipe';
  return 'a device';
}

/** Names are used as they are up to this many bytes; every file system takes that with an owner and an ending. */
const LONGEST_NAME = 64;
const LONGEST_PREFIX = 32;

/** `name` in the names of its unfinished files: a long one by its beginning and a hash, so that they are not too long. */
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
