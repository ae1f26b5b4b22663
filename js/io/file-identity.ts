/** Which files a job reads and which it writes: no file may be both, and none may be written twice. */

import { QuantpressError } from '../engine/error.js';
import { destination } from './output-path.js';
import { builtin } from '../engine/platform.js';

/**
 * A file that a `Source` reads or a `Target` writes, by what identifies it:
 *
 * - `path`: a path (Node). The file need not exist yet. `temporary` marks a name that is used only while `OUT` is unfinished.
 * - `inode`: an open file (Node).
 * - `handle`: a file handle of a browser.
 * - `entry`: a name in a folder of a browser, where the file need not exist yet.
 * - `file`: a `File`, which has no identity: it is compared by name, size and time of its last change.
 */
export type FileReference =
  | { kind: 'path'; path: string; temporary?: boolean }
  | { kind: 'inode'; name: string; device: bigint; inode: bigint }
  | { kind: 'handle'; handle: FileEntry }
  | { kind: 'entry'; folder: FolderEntry; name: string }
  | { kind: 'file'; file: { readonly name: string; readonly size: number; readonly lastModified: number } };

/** A `FileSystemFileHandle`, declared without the types of the DOM. */
export interface FileEntry {
  readonly kind: 'file';
  readonly name: string;
  /** The current file. */
  getFile(): Promise<Blob>;
}

/** A `FileSystemDirectoryHandle`, declared without the types of the DOM. */
export interface FolderEntry {
  readonly kind: 'directory';
  /** The file with a name in the folder. */
  getFileHandle(name: string): Promise<FileEntry>;
}

/** A file of a job, and its role: "the model", "IN", "--manifest". */
export interface FileUse {
  role: string;
  file: FileReference;
}

/** The files of a source or target, if it can name them. */
export async function filesOf(
  role: string,
  owner: { files?(): Promise<readonly FileReference[]> },
): Promise<FileUse[]> {
  return usesOf(role, (await owner.files?.()) ?? []);
}

/** The same role for several files. */
export function usesOf(role: string, files: readonly FileReference[]): FileUse[] {
  return files.map((file) => ({ role, file }));
}

/**
 * Rejects a job that would write a file it reads, or write one file twice, under any names: through symbolic links,
 * hard links, and files and folders that do not exist yet. Call it before anything is opened for writing.
 *
 * @throws {@link QuantpressError} `SAME_FILE`, which names both files and their roles.
 */
export async function refuseSharedFiles(reads: readonly FileUse[], writes: readonly FileUse[]): Promise<void> {
  const files = await Promise.all([
    ...reads.map((use) => identify(use, false)),
    ...writes.map((use) => identify(use, true)),
  ]);
  const byKey = new Map<string, Identified>();
  const byName = new Map<string, Identified[]>();
  for (const file of files) {
    for (const key of file.keys) {
      const other = byKey.get(key);
      if (!other) byKey.set(key, file);
      else if (file.written && other !== file) throw sameFile(other, file);
    }
    if (!file.web) continue;
    const others = byName.get(file.name) ?? [];
    for (const other of file.written ? others : []) {
      if (other.web && (await isSameWebFile(other.web, file.web))) throw sameFile(other, file);
    }
    byName.set(file.name, [...others, file]);
  }
}

/** A file and its keys for comparison. Files that are read come first, so the second of two is written. */
interface Identified extends FileUse {
  name: string;
  written: boolean;
  /** Two files of Node with a common key are the same. */
  keys: readonly string[];
  web?: WebFile;
}

/** A file of a browser: its handle if it exists, its folder and name if it is identified by those, or only a `File`. */
interface WebFile {
  handle?: FileEntry | undefined;
  folder?: FolderEntry;
  file?: { readonly size: number; readonly lastModified: number };
}

async function identify({ role, file }: FileUse, written: boolean): Promise<Identified> {
  const use = { role, file, written };
  switch (file.kind) {
    case 'path':
      return { ...use, name: file.path, keys: await keysOfPath(file.path) };
    case 'inode':
      return { ...use, name: file.name, keys: keysOfInode(file.device, file.inode) };
    case 'handle':
      return { ...use, name: file.handle.name, keys: [], web: { handle: file.handle } };
    case 'entry': {
      const { folder, name } = file;
      const handle = await folder.getFileHandle(name).catch(() => undefined);
      return { ...use, name, keys: [], web: { handle, folder } };
    }
    case 'file':
      return { ...use, name: file.file.name, keys: [], web: { file: file.file } };
  }
}

/** Some file systems have no inodes. */
function keysOfInode(device: bigint, inode: bigint): string[] {
  return inode === 0n ? [] : [`inode ${device} ${inode}`];
}

/**
 * The keys of an existing file are its inode. For a file that does not exist: the inode of its nearest existing folder
 * and the rest of the path, ignoring case and Unicode normalization, because on many file systems two names that differ
 * only in these are the same file. Devices, pipes and folders have no keys: several outputs may go to one.
 */
async function keysOfPath(name: string): Promise<string[]> {
  const [fs, path] = [builtin('node:fs/promises'), builtin('node:path')];
  if (!fs || !path) return [];
  const whole = path.resolve(await destination(name));
  const stat = (at: string) => fs.stat(at, { bigint: true }).catch(() => undefined);
  const stats = await stat(whole);
  if (stats && !stats.isFile()) return [];
  if (stats && stats.ino !== 0n) return keysOfInode(stats.dev, stats.ino);
  if (stats) return [`path ${whole}`];
  let rest = '';
  for (let at = whole; ; at = path.dirname(at)) {
    const folder = at === whole ? undefined : await stat(at);
    if (folder) return [`in ${folder.dev} ${folder.ino} ${folder.ino === 0n ? at : ''} ${folded(rest)}`];
    if (at === path.dirname(at)) return [`path ${folded(whole)}`];
    rest = path.join(path.basename(at), rest);
  }
}

const folded = (name: string): string => name.normalize('NFC').toLowerCase();

async function isSameWebFile(a: WebFile, b: WebFile): Promise<boolean> {
  if (a.handle && b.handle) return isSameEntry(a.handle, b.handle);
  // Their names are the same.
  if (a.folder && b.folder) return isSameEntry(a.folder, b.folder);
  const [file, handle] = a.file ? [a.file, b.handle] : [b.file, a.handle];
  const other = file && (await handle?.getFile().catch(() => undefined));
  if (!file || !other || !('lastModified' in other)) return false;
  return file.size === other.size && file.lastModified === other.lastModified;
}

async function isSameEntry(a: FileEntry | FolderEntry, b: FileEntry | FolderEntry): Promise<boolean> {
  const { isSameEntry } = a as { kind: string; isSameEntry?(other: unknown): Promise<boolean> };
  return a === b || (await isSameEntry?.call(a, b)) === true;
}

function sameFile(a: Identified, b: Identified): QuantpressError {
  const roles = [a, b].map(({ role, file }) =>
    file.kind === 'path' && file.temporary ? `a temporary file of ${role}` : role,
  );
  const names = a.name === b.name ? `'${a.name}'` : `'${a.name}' and '${b.name}'`;
  const what = a.written ? 'both would be written' : `writing ${b.role} would destroy ${a.role}`;
  const message = `${roles[0]} and ${roles[1]} are the same file: ${names}; ${what}. Give ${b.role} another name.`;
  return new QuantpressError('SAME_FILE', message, { roles, files: [a.name, b.name] });
}
