/** Whether something has to be rebuilt: by the contents of its inputs, not by file times, which a clone changes. */

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { at } from './run.js';

/** @param {string} name */
const file = (name) => at('.cache', 'stamps', name);

/**
 * A digest of files, of whole folders, and of additional words.
 * @param {string[]} paths from the project's root @param {...string} words
 */
export function digest(paths, ...words) {
  const hash = createHash('sha256');
  for (const path of paths.flatMap((path) => files(at(path)))) {
    hash.update(`${path}\0`).update(readFileSync(path)).update('\0');
  }
  for (const word of words) hash.update(`${word}\0`);
  return hash.digest('hex');
}

/** @param {string} path @returns {string[]} */
function files(path) {
  if (!existsSync(path)) return [];
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path)
    .sort()
    .flatMap((name) => files(join(path, name)));
}

/**
 * Builds, unless the last build had the same digest and all its outputs still exist.
 * @param {string} name @param {string} value @param {string[]} outputs from the project's root
 * @param {() => Promise<void>} build
 */
export async function once(name, value, outputs, build) {
  const known = existsSync(file(name)) ? readFileSync(file(name), 'utf8') : '';
  if (known === value && outputs.every((path) => existsSync(at(path)))) return false;
  await build();
  mkdirSync(dirname(file(name)), { recursive: true });
  writeFileSync(file(name), value);
  return true;
}
