/** Where a result is kept until the person saves it. */

import { BlobTarget, type TargetInput } from 'quantpress';

/** A finished file, ready to be saved. */
export interface Saved {
  readonly name: string;
  readonly size: number;
  readonly url: string;
  /** Hexadecimal; absent where the browser cannot hash so much at once. */
  readonly sha256?: string;
}

/** A place to write to, and what makes the finished file of it. */
export interface Keeping {
  readonly target: TargetInput;
  finish(): Promise<Saved>;
}

const IN_MEMORY = 512e6; // beyond it the result goes to the browser's own disk storage, not through memory
const HASHED = 512e6; // SubtleCrypto hashes only what is in memory as a whole
const FOLDER = 'results';

let last: string | undefined;

/** Prepares to keep a result of `size` bytes. What was kept before is let go. */
export async function keep(name: string, size: number): Promise<Keeping> {
  if (last) URL.revokeObjectURL(last);
  last = undefined;
  const onDisk = await storage();
  if (onDisk && size > IN_MEMORY) {
    const handle = await onDisk.getFileHandle(name, { create: true });
    return { target: handle, finish: async () => saved(name, await handle.getFile()) };
  }
  const target = new BlobTarget();
  return { target, finish: async () => saved(name, target.blob ?? new Blob()) };
}

/** A fresh folder of the origin-private file system; nothing where the browser has none. */
async function storage(): Promise<FileSystemDirectoryHandle | undefined> {
  if (!navigator.storage?.getDirectory) return undefined;
  const root = await navigator.storage.getDirectory();
  await root.removeEntry(FOLDER, { recursive: true }).catch(() => undefined); // not there the first time
  return root.getDirectoryHandle(FOLDER, { create: true });
}

async function saved(name: string, blob: Blob): Promise<Saved> {
  last = URL.createObjectURL(blob);
  const result = { name, size: blob.size, url: last };
  if (blob.size > HASHED || !globalThis.crypto?.subtle) return result;
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', await blob.arrayBuffer()));
  return { ...result, sha256: Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('') };
}
