/** Where bytes come from: the interface, and what every implementation shares. */

import { QuantpressError } from '../../engine/error.js';
import type { FileReference } from '../file-identity.js';

/**
 * Something of known size that can be read anywhere: a file, a Blob, a URL, bytes. Two members are enough to write one.
 *
 * Several reads may be under way at once.
 */
export interface Source {
  /** Bytes in all. */
  readonly size: number;
  /** What error messages call it: a path, a file name, a URL. */
  readonly name?: string | undefined;
  /**
   * The bytes from `offset` on, exactly `length` of them.
   *
   * The caller may change or transfer the result's buffer unless it is larger than the result.
   *
   * @throws {@link QuantpressError} `TRUNCATED` if the source ends before, `IO` and its siblings if reading fails.
   */
  read(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>>;
  /** {@link read} into memory the caller has already. Where it is missing, `read` is used and copied. */
  readInto?(into: Uint8Array<ArrayBuffer>, offset: number, signal?: AbortSignal): Promise<void>;
  /**
   * A description that can be posted to a worker, which then reads its own slices. A source that cannot be described
   * is read in the caller's thread, and its bytes are handed over.
   */
  describe?(): SourceDescription | undefined;
  /**
   * Fails with `CHANGED` if the source is no longer what it was when it was opened. How sure that is depends on the source: a
   * file of Node's is told by its identity and times of change, a URL by a strong ETag. A `Blob`, and a URL whose server sends
   * no strong ETag, have neither; a sample of their bytes is read again and compared, which misses a change elsewhere.
   */
  check?(): Promise<void>;
  /**
   * What tells this source from any other, and from itself after a change, whatever its name: a time of change, an ETag.
   * Without it a conversion cannot be resumed.
   */
  fingerprint?(): Promise<string | undefined>;
  /** The files it reads, so that nothing is written over them; none where it reads no files. */
  files?(): Promise<readonly FileReference[]>;
  /** Lets go of what the source holds open. */
  close?(): Promise<void>;
}

/** What a worker needs to open a source of its own. It survives `postMessage`. */
export type SourceDescription =
  | { kind: 'path'; path: string; identity: FileIdentity }
  | { kind: 'blob'; blob: Blob }
  | { kind: 'bytes'; bytes: Uint8Array }
  | { kind: 'joined'; parts: SourceDescription[] }
  | {
      kind: 'url';
      url: string;
      size: number;
      etag: string | undefined;
      modified?: string | undefined;
      headers: Record<string, string>;
      attempts?: number | undefined;
      patience?: number | undefined;
      maxWait?: number | undefined;
      idleTimeout?: number | undefined;
    };

/** What tells a file from another that has taken its name, or from itself after a change. */
export interface FileIdentity {
  /** Numbers of 64 bits, in decimal. */
  device: string;
  inode: string;
  size: number;
  /** When its contents changed, in nanoseconds since 1970 where the system has them. Programs can set it back. */
  modified: string;
  /** When its contents or attributes changed. No program can set it back, except by changing the clock. */
  changed: string;
}

/** Refuses a range that does not lie in the source. */
export function checkRange(source: Source, offset: number, length: number): void {
  const inside = Number.isSafeInteger(offset) && offset >= 0 && Number.isSafeInteger(length) && length >= 0;
  if (!inside) {
    throw new QuantpressError('RANGE', `${length} bytes from ${offset} are not a range of a source`, {
      offset,
      length,
    });
  }
  if (offset + length > source.size) throw truncated(source, offset, length, source.size);
}

/** The error for a source that ends before the bytes that are needed. */
export function truncated(source: Source, offset: number, length: number, size: number): QuantpressError {
  const who = source.name === undefined ? 'the source' : `'${source.name}'`;
  return new QuantpressError('TRUNCATED', `${who} has ${size} bytes, but bytes up to ${offset + length} are needed`, {
    needed: offset + length,
    size,
  });
}

/** {@link Source.read} that trusts no source: one that gives fewer bytes than were asked for has ended before its size. */
export async function readExactly(
  source: Source,
  offset: number,
  length: number,
  signal?: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await source.read(offset, length, signal);
  if (bytes.length === length) return bytes;
  throw truncated(source, offset, length, offset + bytes.length);
}

/** {@link Source.readInto} for any source. */
export async function readInto(
  source: Source,
  into: Uint8Array<ArrayBuffer>,
  offset: number,
  signal?: AbortSignal,
): Promise<void> {
  if (source.readInto) await source.readInto(into, offset, signal);
  else into.set(await readExactly(source, offset, into.length, signal));
}
