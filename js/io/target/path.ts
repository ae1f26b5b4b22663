/** Targets of paths (Node): a file, a device or a pipe. */

import { QuantpressError } from '../../engine/error.js';
import { expectFilePath, kindOf, statOf } from '../output-path.js';
import { builtin } from '../../engine/platform.js';
import { FileTarget } from './file.js';
import { PipeTarget } from './pipe.js';
import type { Target } from './target.js';

/**
 * The target of a path: a file, or an existing device or pipe.
 *
 * @throws {@link QuantpressError} `ARGUMENT` for a path that is empty or that of a folder, `UNSUPPORTED` for a socket.
 */
export async function pathTarget(path: string): Promise<Target> {
  if (!builtin('node:fs/promises')) {
    throw new QuantpressError('UNSUPPORTED', `'${path}' is a path, and there is no file system here`, { path });
  }
  expectFilePath(path);
  const stats = await statOf(path);
  if (!stats || stats.isFile() || stats.isDirectory()) return new FileTarget(path);
  if (!stats.isSocket()) return new PipeTarget(path);
  throw new QuantpressError('UNSUPPORTED', `cannot write '${path}': it is ${kindOf(stats)}`, { path });
}
