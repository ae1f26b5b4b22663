/** Several targets, concatenated: the files of a model that is written in shards. */

import type { FileReference } from '../file-identity.js';
import { isResumable, placeTogether, type ResumableTarget, type Target } from './target.js';

/** A target, and the number of its bytes. */
export interface TargetPart<T extends Target = Target> {
  target: T;
  size: number;
}

/** One target from several. It can be resumed if all of them can. */
export function joinTargets(parts: readonly TargetPart[]): Target {
  return parts.every(isResumablePart) ? new ResumableJoinedTarget(parts) : new JoinedTarget(parts);
}

function isResumablePart(part: TargetPart): part is TargetPart<ResumableTarget> {
  return isResumable(part.target);
}

/** No write crosses from one part to the next: shards are whole files with their own headers. */
class JoinedTarget<T extends Target = Target> implements Target {
  readonly ordered: boolean;
  protected readonly parts: readonly (TargetPart<T> & { start: number })[];

  constructor(parts: readonly TargetPart<T>[]) {
    let start = 0;
    this.parts = parts.map((part) => {
      const placed = { ...part, start };
      start += part.size;
      return placed;
    });
    this.ordered = parts.some(({ target }) => target.ordered);
  }

  async files(): Promise<readonly FileReference[]> {
    const files = await Promise.all(this.parts.map(({ target }) => target.files?.()));
    return files.flatMap((part) => part ?? []);
  }

  async open(size: number): Promise<void> {
    await this.parts[0]?.target.fits?.(size);
    for (const part of this.parts) await part.target.open?.(part.size);
  }

  async write(offset: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    const { target, start } = this.partAt(offset);
    await target.write(offset - start, bytes);
  }

  /** All are flushed before the first is renamed. */
  async close(): Promise<void> {
    for (const { target } of this.parts) await target.flush?.();
    await placeTogether(this.parts.map(({ target }) => target));
  }

  async abort(reason?: unknown): Promise<void> {
    await Promise.allSettled(this.parts.map(({ target }) => target.abort(reason)));
  }

  protected partAt(offset: number): TargetPart<T> & { start: number } {
    const part = this.parts.findLast(({ start }) => start <= offset);
    if (part) return part;
    throw new TypeError(`offset ${offset} is outside all parts`);
  }
}

/** The journal of all parts is kept next to the first. */
class ResumableJoinedTarget extends JoinedTarget<ResumableTarget> implements ResumableTarget {
  /** Parts that were written since the last entry of the journal. */
  readonly #changed = new Set<ResumableTarget>();

  override async write(offset: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    await super.write(offset, bytes);
    this.#changed.add(this.partAt(offset).target);
  }

  async reopen(size: number): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const [first, ...others] = this.parts;
    const journal = await first?.target.reopen(first.size);
    await first?.target.fits?.(size - first.size);
    for (const { target, size } of others) await (journal ? target.reopen(size) : target.open?.(size));
    return journal;
  }

  async read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const { target, start } = this.partAt(offset);
    return target.read(offset - start, length);
  }

  async log(entries: Uint8Array<ArrayBuffer>): Promise<void> {
    const first = this.parts[0]?.target;
    const changed = [...this.#changed];
    this.#changed.clear();
    // An empty entry only flushes what was written.
    for (const target of changed) if (target !== first) await target.log(new Uint8Array(0));
    await first?.log(entries);
  }

  async suspend(): Promise<void> {
    await Promise.allSettled(this.parts.map(({ target }) => target.suspend()));
  }
}
