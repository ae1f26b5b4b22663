/**
 * The files of an `OpfsTarget`, in a worker: only there can browsers write a file in place, so that partial contents
 * persist.
 */

import { MAX_JOURNAL_BYTES } from '../engine/limits.js';
import { systemError } from '../io/system-error.js';

/** The requests to the worker. Each returns bytes, perhaps none. */
export type OpfsCall =
  | { op: 'open'; folder: FileSystemDirectoryHandle; part: string; journal: string }
  | { op: 'clear'; size: number }
  | { op: 'write'; offset: number; bytes: Uint8Array<ArrayBuffer> }
  | { op: 'read'; offset: number; length: number }
  | { op: 'log'; entries: Uint8Array<ArrayBuffer> }
  | { op: 'flush' }
  | { op: 'close' };

interface Handle {
  read(into: Uint8Array<ArrayBuffer>, options: { at: number }): number;
  write(bytes: Uint8Array<ArrayBuffer>, options: { at: number }): number;
  truncate(size: number): void;
  getSize(): number;
  flush(): void;
  close(): void;
}

let part: Handle | undefined;
let journal: Handle | undefined;

/** Handles a request. */
export async function opfs(call: OpfsCall): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return await OPERATIONS[call.op](call as never);
  } catch (error) {
    throw systemError(error, "cannot write to the browser's storage");
  }
}

const NONE = () => new Uint8Array(0);

const OPERATIONS: { [K in OpfsCall['op']]: (call: Extract<OpfsCall, { op: K }>) => Promise<Uint8Array<ArrayBuffer>> } =
  {
    async open({ folder, ...names }) {
      part = await openFile(folder, names.part);
      journal = await openFile(folder, names.journal);
      const length = journal.getSize();
      return length > MAX_JOURNAL_BYTES ? NONE() : readFrom(journal, 0, length);
    },
    async clear({ size }) {
      journal?.truncate(0);
      part?.truncate(0);
      // Allocates the space, so that a quota that is too small fails now.
      part?.truncate(size);
      return NONE();
    },
    async write({ offset, bytes }) {
      writeTo(part, bytes, offset);
      return NONE();
    },
    async read({ offset, length }) {
      return part ? readFrom(part, offset, length) : NONE();
    },
    async log({ entries }) {
      part?.flush();
      writeTo(journal, entries, journal?.getSize() ?? 0);
      journal?.flush();
      return NONE();
    },
    async flush() {
      part?.flush();
      return NONE();
    },
    async close() {
      part?.flush();
      part?.close();
      journal?.close();
      return NONE();
    },
  };

async function openFile(folder: FileSystemDirectoryHandle, name: string): Promise<Handle> {
  const file = await folder.getFileHandle(name, { create: true });
  // TypeScript declares it only for workers.
  return (file as unknown as { createSyncAccessHandle(): Promise<Handle> }).createSyncAccessHandle();
}

function readFrom(handle: Handle, offset: number, length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  return bytes.slice(0, handle.read(bytes, { at: offset }));
}

function writeTo(handle: Handle | undefined, bytes: Uint8Array<ArrayBuffer>, offset: number): void {
  for (let done = 0; handle && done < bytes.length; ) {
    const written = handle.write(bytes.subarray(done), { at: offset + done });
    if (written === 0) throw new DOMException('nothing was written', 'QuotaExceededError');
    done += written;
  }
}
