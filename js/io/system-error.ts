/** Converts errors of the operating system to this library's errors: a stable code and a sentence. */

import { QuantpressError, type ErrorCode, type ErrorDetails } from '../engine/error.js';

const REASONS: Record<string, [code: ErrorCode, reason: string]> = {
  ENOENT: ['NOT_FOUND', 'there is no such file or folder'],
  ENOTDIR: ['NOT_FOUND', 'a component of the path is not a folder'],
  EACCES: ['DENIED', 'permission denied'],
  EPERM: ['DENIED', 'the operation is not permitted'],
  EROFS: ['DENIED', 'the file system is read-only'],
  EISDIR: ['UNSUPPORTED', 'it is a directory'],
  ENOSPC: ['NO_SPACE', 'the disk is full'],
  EDQUOT: ['NO_SPACE', 'the disk quota is exceeded'],
  EFBIG: ['NO_SPACE', 'the file would be larger than the file system or a limit allows'],
  EMFILE: ['IO', 'too many files are open'],
  ENXIO: ['IO', 'it is a pipe without a reader, or a socket or device that does not exist'],
  EPIPE: ['IO', 'its reader has closed it'],
  ENAMETOOLONG: ['ARGUMENT', 'its name is too long for the file system'],
  ELOOP: ['ARGUMENT', 'its symbolic links form a cycle'],
  EEXIST: ['DENIED', 'a file with that name exists'],
  // The names of the same errors in browsers.
  QuotaExceededError: ['NO_SPACE', "the browser's storage quota is exceeded"],
  NotAllowedError: ['DENIED', 'permission was denied'],
  NoModificationAllowedError: ['DENIED', 'the file is in use elsewhere'],
  NotFoundError: ['NOT_FOUND', 'it no longer exists'],
};

/**
 * `error` as a {@link QuantpressError} whose sentence begins with `what` ("cannot read 'x'"). A {@link QuantpressError}
 * and anything that is not a system error are returned unchanged.
 */
export function systemError(error: unknown, what: string, details: ErrorDetails = {}): unknown {
  if (error instanceof QuantpressError || !(error instanceof Error)) return error;
  const name = 'code' in error && typeof error.code === 'string' ? error.code : error.name;
  const [code, reason] = REASONS[name] ?? ['IO', error.message];
  return new QuantpressError(code, `${what}: ${reason}`, { ...details, system: name }, { cause: error });
}
