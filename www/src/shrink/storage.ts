/** The browser's own storage (OPFS), where a result is kept until it is saved, and an interrupted one until it is taken up. */

/** What is noted of a job while it is not complete: enough to say what it was, and to go on with it. */
export interface Unfinished {
  /** The name of the file that it makes. */
  readonly name: string;
  /** The name of the file it reads. */
  readonly input: string;
  /** Its recipe, as in an address. */
  readonly query: string;
  readonly imatrix?: string | undefined;
}

const FOLDER = 'results';
const NOTES = 'quantpress.unfinished';
const HELD = 'quantpress result ';

/** Whether the browser has such a storage at all. */
export const canKeep = 'getDirectory' in (navigator.storage ?? {});

/** The folder of results; nothing where the browser has none, as in a private window of some. */
export async function folder(): Promise<FileSystemDirectoryHandle | undefined> {
  try {
    const root = await navigator.storage.getDirectory();
    return await root.getDirectoryHandle(FOLDER, { create: true });
  } catch {
    return undefined;
  }
}

/** Bytes that the browser offers beyond what it holds; nothing if it does not say. */
export async function room(): Promise<number | undefined> {
  const { quota, usage = 0 } = (await navigator.storage?.estimate?.().catch(() => undefined)) ?? {};
  return quota === undefined ? undefined : quota - usage;
}

/** Takes away a result; whether it is there does not matter. */
export async function remove(name: string): Promise<void> {
  await (await folder())?.removeEntry(name).catch(() => {});
}

/** Says that this tab shows a result, until what is given back is called or the tab is closed. */
export function hold(name: string): () => void {
  let release: () => void = () => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  void navigator.locks?.request(HELD + name, { mode: 'shared' }, () => held).catch(() => {});
  return () => release();
}

/** Takes away the results of tabs that are closed. What is unfinished stays. */
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
  // In all browsers with OPFS, and not yet in TypeScript's library.
  yield* (directory as unknown as { keys(): AsyncIterable<string> }).keys();
}

/** The jobs that were noted and of which there is still something. */
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

/** Notes that a job is begun. */
export function note(job: Unfinished): void {
  write([...notes().filter(({ name }) => name !== job.name), job]);
}

/** Notes that a job is complete, or thrown away. */
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
    // Without storage there are no notes: then a job is taken up by opening the same model with the same recipe.
  }
}
