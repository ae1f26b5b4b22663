/** The interface of byte sources, and helpers of its implementations. */

import { QuantpressError } from '../../engine/error.js';
import type { FileReference } from '../file-identity.js';

/**
 * Data of known size that can be read at any offset: a file, a Blob, a URL, bytes. A custom source needs only two
 * members.
 *
 * Several reads may be in progress at once.
 */
export interface Source {
  /** The size in bytes. */
  readonly size: number;
  /** Its name in error messages: a path, a file name, a URL. */
  readonly name?: string | undefined;
  /**
   * Reads exactly `length` bytes from `offset` on.
   *
   * The caller may change or transfer the result's buffer unless it is larger than the result.
   *
   * @throws {@link QuantpressError} `TRUNCATED` if the source ends before, `IO` or a more specific code if reading
   * fails.
   */
  read(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>>;
  /** {@link read} into the caller's memory. If it is missing, the result of `read` is copied. */
  readInto?(into: Uint8Array<ArrayBuffer>, offset: number, signal?: AbortSignal): Promise<void>;
  /**
   * Returns a description that can be posted to a worker, which then reads by itself. A source without a description is
   * read in the caller's thread, and its bytes are posted.
   */
  describe?(): SourceDescription | undefined;
  /**
   * Fails with `CHANGED` if the source has changed since it was opened. How reliable that is depends on the source: a
   * file in Node has an identity and change times, a URL a strong ETag. A `Blob`, and a URL without a strong ETag, have
   * neither; a sample of their bytes is read again and compared, which misses changes elsewhere.
   */
  check?(): Promise<void>;
  /**
   * Returns what identifies this source and its current content, independent of its name: a modification time, an ETag.
   * Without it a conversion cannot be resumed.
   */
  fingerprint?(): Promise<string | undefined>;
  /** The files it reads, so that they are not overwritten; none if it reads no files. */
  files?(): Promise<readonly FileReference[]>;
  /** Closes what the source holds open. */
  close?(): Promise<void>;
}

/** The data that a worker needs to open the source itself. It can be passed to `postMessage`. */
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

/** What distinguishes a file from another that replaced it, or from itself after a change. */
export interface FileIdentity {
  /** 64-bit numbers, in decimal. */
  device: string;
  inode: string;
  size: number;
  /** When its contents changed (mtime), in nanoseconds since 1970 if the system has them. Programs can set it back. */
  modified: string;
  /** When its contents or attributes changed (ctime). No program can set it back, except by changing the clock. */
  changed: string;
}

/** Rejects a range outside the source. */
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

/** {@link Source.read} with a check of the length: a source that returns fewer bytes than requested is truncated. */
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
