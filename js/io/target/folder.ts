/** A model that is a folder of files: the weights and their sidecar files. Node only. */

import { QuantpressError } from '../../engine/error.js';
import type { FileReference } from '../file-identity.js';
import { kindOf, statOf } from '../output-path.js';
import { builtin } from '../../engine/platform.js';
import { systemError } from '../system-error.js';
import { FileTarget } from './file.js';
import { placeTogether, type ResumableTarget } from './target.js';

/** A sidecar file. */
interface Beside {
  target: FileTarget;
  bytes: Uint8Array<ArrayBuffer>;
}

/**
 * A folder with the weights, which are written to the target, and a few sidecar files in memory. All are renamed
 * together, `first` last: readers of the folder start from it, so an old one is never next to new weights.
 */
export class FolderTarget implements ResumableTarget {
  readonly #path: string;
  readonly #weights: FileTarget;
  readonly #beside: readonly Beside[];
  #staged = false;
  /** The outermost folder that was created for this one. */
  #made: string | undefined;

  /** `files` are the sidecar files by name. */
  constructor(path: string, weights: string, first: string, files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>) {
    if (path === '') throw new QuantpressError('ARGUMENT', 'the path of the folder is empty: give a name', { path });
    const { join } = builtin('node:path');
    this.#path = path;
    this.#weights = new FileTarget(join(path, weights));
    const names = [first, ...[...files.keys()].filter((name) => name !== first)];
    this.#beside = names.map((name) => ({
      target: new FileTarget(join(path, name)),
      bytes: files.get(name) ?? new Uint8Array(0),
    }));
  }

  async files(): Promise<readonly FileReference[]> {
    const files = await Promise.all(this.#targets().map((target) => target.files()));
    return files.flat();
  }

  async open(size: number): Promise<void> {
    await this.#stage();
    await this.#weights.open(size);
  }

  async reopen(size: number): Promise<Uint8Array<ArrayBuffer> | undefined> {
    await this.#stage();
    return this.#weights.reopen(size);
  }

  write(offset: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    return this.#weights.write(offset, bytes);
  }

  read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    return this.#weights.read(offset, length);
  }

  log(entries: Uint8Array<ArrayBuffer>): Promise<void> {
    return this.#weights.log(entries);
  }

  flush(): Promise<void> {
    return this.#weights.flush();
  }

  async close(): Promise<void> {
    await this.flush();
    await placeTogether(this.#targets());
  }

  async abort(): Promise<void> {
    await Promise.allSettled(this.#targets().map((target) => target.abort()));
    await this.#unmake();
  }

  async suspend(): Promise<void> {
    await Promise.allSettled([...this.#beside.map(({ target }) => target.abort()), this.#weights.suspend()]);
    // Only if it has nothing to resume.
    await this.#unmake();
  }

  #targets(): FileTarget[] {
    return [...this.#beside.map(({ target }) => target), this.#weights];
  }

  /** The sidecar files are small: they are written before the work begins. */
  async #stage(): Promise<void> {
    if (this.#staged) return;
    this.#staged = true;
    await this.#make();
    for (const { target, bytes } of this.#beside) {
      await target.open(bytes.length);
      await target.write(0, bytes);
      await target.flush();
    }
  }

  async #make(): Promise<void> {
    const stats = await statOf(this.#path);
    if (stats && !stats.isDirectory()) {
      const message = `cannot write '${this.#path}': it is ${kindOf(stats) ?? 'a file'}, but the output is a folder`;
      throw new QuantpressError('UNSUPPORTED', message, { path: this.#path });
    }
    try {
      this.#made = await builtin('node:fs/promises').mkdir(this.#path, { recursive: true });
    } catch (error) {
      throw systemError(error, `cannot write '${this.#path}'`, { path: this.#path });
    }
  }

  /** Removes the folders that were created, if they are empty. */
  async #unmake(): Promise<void> {
    if (this.#made === undefined) return;
    const { resolve, dirname } = builtin('node:path');
    const outermost = resolve(this.#made);
    for (let at = resolve(this.#path); at.startsWith(outermost); at = dirname(at)) {
      const removed = await builtin('node:fs/promises')
        .rmdir(at)
        .then(
          () => true,
          () => false,
        );
      if (!removed) return;
    }
  }
}
