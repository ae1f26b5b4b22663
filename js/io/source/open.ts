/** Opens sources: from the caller's input, and in a worker from a description. */

import type { FileHandle } from 'node:fs/promises';
import { addressOf, pathOf } from '../url.js';
import { isBlob, isBuffer, isBytes, isUrl } from '../../engine/cross-realm.js';
import { expectBytes } from '../../engine/check.js';
import { QuantpressError } from '../../engine/error.js';
import { readOptions } from '../../engine/options.js';
import { BlobSource } from './blob.js';
import { BytesSource } from './bytes.js';
import type { FileEntry } from '../file-identity.js';
import { FileSource } from './file.js';
import { JoinedSource } from './joined.js';
import { UrlSource } from './url.js';
import { URL_OPTIONS, type UrlOptions } from './url-options.js';
import type { Source, SourceDescription } from './source.js';
import { systemError } from '../system-error.js';

/**
 * Everything {@link openSource} takes: bytes, a `Blob` or `File`, a `FileSystemFileHandle`, an `http(s)` or `file` URL, a
 * path or a `FileHandle` (Node), or a {@link Source} of the caller's own.
 */
export type SourceInput = Source | Uint8Array | ArrayBufferLike | Blob | FileEntry | URL | string | OpenFile;

/** A `FileHandle` of Node, declared without Node's types. */
export interface OpenFile {
  /** Its file descriptor. */
  readonly fd: number;
}

/** Opens the caller's input. A {@link Source} is returned unchanged. */
export async function openSource(input: SourceInput, options: UrlOptions = {}): Promise<Source> {
  return openInput(input, readOptions('openSource', URL_OPTIONS, options));
}

/** {@link openSource} with parsed options. */
export async function openInput(input: SourceInput, options: UrlOptions): Promise<Source> {
  if (typeof input === 'string') return openNamed(input, options);
  if (isUrl(input)) return openNamed(input.href, options);
  if (isBlob(input)) return new BlobSource(input);
  if (isBytes(input)) expectBytes('input', input);
  if (isBytes(input) || isBuffer(input)) return new BytesSource(input);
  if (typeof input === 'object' && input !== null) {
    if (isHandle(input)) return FileSource.from(input);
    if (isWebHandle(input)) return openWebHandle(input);
    if (isSource(input)) return input;
  }
  throw new QuantpressError('ARGUMENT', 'a source is bytes, a Blob, a URL, a path, a FileHandle or { size, read }', {});
}

/** Opens a source in a worker from its description. */
export async function reopenSource(description: SourceDescription): Promise<Source> {
  switch (description.kind) {
    case 'path':
      return FileSource.reopen(description.path, description.identity);
    case 'blob':
      return new BlobSource(description.blob);
    case 'bytes':
      return new BytesSource(description.bytes);
    case 'joined':
      return new JoinedSource(await Promise.all(description.parts.map(reopenSource)));
    case 'url':
      return UrlSource.reopen(description);
  }
}

async function openNamed(name: string, options: UrlOptions): Promise<Source> {
  const address = addressOf(name);
  return address === undefined ? FileSource.open(pathOf(name)) : UrlSource.open(address, options);
}

function isHandle(input: object): input is FileHandle {
  return 'fd' in input && typeof input.fd === 'number' && 'read' in input;
}

function isWebHandle(input: object): input is FileEntry {
  return 'kind' in input && input.kind === 'file' && 'getFile' in input && typeof input.getFile === 'function';
}

async function openWebHandle(handle: FileEntry): Promise<Source> {
  try {
    return new BlobSource(await handle.getFile(), handle);
  } catch (error) {
    throw systemError(error, `cannot read '${handle.name}'`, { name: handle.name });
  }
}

function isSource(input: object): input is Source {
  return 'size' in input && typeof input.size === 'number' && 'read' in input && typeof input.read === 'function';
}
