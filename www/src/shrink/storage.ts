/**
 * The browser's own storage (OPFS), where a result is kept until it is saved, and a partial one until it is resumed.
 */

/** The record of an unfinished job: enough to describe and resume it. */
export interface Unfinished {
  /** The name of the output file. */
  readonly name: string;
  /** The name of the input file. */
  readonly input: string;
  /** Its recipe, as in a URL. */
  readonly query: string;
  readonly imatrix?: string | undefined;
}

const FOLDER = 'results';
const NOTES = 'quantpress.unfinished';
const HELD = 'quantpress result ';

/** Whether the browser has such a storage at all. */
export const canKeep = 'getDirectory' in (navigator.storage ?? {});

/** The folder of results; `undefined` if the browser has none, as in some private windows. */
export async function folder(): Promise<FileSystemDirectoryHandle | undefined> {
  try {
    const root = await navigator.storage.getDirectory();
    return await root.getDirectoryHandle(FOLDER, { create: true });
  } catch {
    return undefined;
  }
}

/** The free bytes of the browser's storage; `undefined` if unknown. */
export async function room(): Promise<number | undefined> {
  const { quota, usage = 0 } = (await navigator.storage?.estimate?.().catch(() => undefined)) ?? {};
  return quota === undefined ? undefined : quota - usage;
}

/** Removes a result, if it exists. */
export async function remove(name: string): Promise<void> {
  await (await folder())?.removeEntry(name).catch(() => {});
}

/** Marks a result as in use by this tab, until the returned function is called or the tab is closed. */
export function hold(name: string): () => void {
  let release: () => void = () => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  void navigator.locks?.request(HELD + name, { mode: 'shared' }, () => held).catch(() => {});
  return () => release();
}

/** Removes the results of closed tabs. Unfinished ones stay. */
export async function sweep(): Promise<void> {
  const all = await folder();
  const locks = await navigator.locks?.query();
  if (!all || !locks) return;
  const held = new Set(locks.held?.map(({ name }) => name));
  for await (const name of names(all)) {
    if (!/\.(part|journal)$/.test(name) && !held.has(HELD + name)) await all.removeEntry(name).catch(() => {});
  }
}

async function* names(directory: FileSystemDirectoryHandle): AsyncGenerator<string> {
  // Supported by all browsers with OPFS, but not yet in TypeScript's library.
  yield* (directory as unknown as { keys(): AsyncIterable<string> }).keys();
}

/** The recorded jobs whose partial files still exist. */
export async function unfinished(): Promise<Unfinished[]> {
  const all = await folder();
  if (!all) return [];
  const found: Unfinished[] = [];
  for (const note of notes()) {
    const journal = await all.getFileHandle(`${note.name}.journal`).catch(() => undefined);
    if (journal) found.push(note);
    else forget(note.name);
  }
  return found;
}

/** Records that a job has started. */
export function note(job: Unfinished): void {
  write([...notes().filter(({ name }) => name !== job.name), job]);
}

/** Removes the record of a job that is complete or discarded. */
export function forget(name: string): void {
  write(notes().filter((job) => job.name !== name));
}

function notes(): Unfinished[] {
  try {
    const all: unknown = JSON.parse(localStorage.getItem(NOTES) ?? '[]');
    return Array.isArray(all)
      ? all.filter((job) => typeof job?.name === 'string' && typeof job.query === 'string')
      : [];
  } catch {
    return [];
  }
}

function write(jobs: readonly Unfinished[]): void {
  try {
    localStorage.setItem(NOTES, JSON.stringify(jobs));
  } catch {
    // Without storage there are no records: then a job is resumed by opening the same model with the same recipe.
  }
}
