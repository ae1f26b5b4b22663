/**
 * Files that a command writes in addition to a model: reports, manifests. Like models, they are written completely or
 * stay unchanged.
 */

import { usesOf, type FileUse } from '../file-identity.js';
import { openTarget } from './open.js';
import type { Target } from './target.js';

/** A sidecar file. */
export class SidecarFile {
  readonly #role: string;
  readonly #target: Target;

  private constructor(role: string, target: Target) {
    this.#role = role;
    this.#target = target;
  }

  /** The file at a path; `role` is its option ("--report"). Nothing is opened for writing yet. */
  static async at(role: string, path: string): Promise<SidecarFile> {
    return new SidecarFile(role, await openTarget(path));
  }

  /** The files to compare with the other files of the job. */
  async uses(): Promise<FileUse[]> {
    return usesOf(this.#role, (await this.#target.files?.()) ?? []);
  }

  /** Checks before the work that the file can be written afterwards. */
  async prepare(signal?: AbortSignal): Promise<void> {
    // A pipe may have no reader yet.
    const stop = () => {
      if (this.#target.ordered) void this.#target.abort(signal?.reason);
    };
    signal?.addEventListener('abort', stop, { once: true });
    try {
      await this.#target.open?.(0);
    } finally {
      signal?.removeEventListener('abort', stop);
    }
  }

  /** Writes the file. `content` is called twice, because it may be too long to keep. */
  async save(content: () => Iterable<string | Uint8Array<ArrayBuffer>>): Promise<void> {
    const encoder = new TextEncoder();
    const encode = (piece: string | Uint8Array<ArrayBuffer>) =>
      typeof piece === 'string' ? encoder.encode(piece) : piece;
    let size = 0;
    for (const piece of content()) size += encode(piece).length;
    await this.#target.open?.(size);
    let at = 0;
    for (const piece of content()) {
      const bytes = encode(piece);
      await this.#target.write(at, bytes);
      at += bytes.length;
    }
    await this.#target.close();
  }

  /** Leaves the file unchanged, unless it is saved. */
  async abort(): Promise<void> {
    await this.#target.abort();
  }
}
