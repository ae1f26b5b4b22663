import type { FileHandle } from 'node:fs/promises';
import { QuantpressError } from '../../engine/error.js';
import type { FileReference } from '../file-identity.js';
import { MAX_JOURNAL_BYTES } from '../../engine/limits.js';
import { destination, kindOf, shortName, statOf } from '../output-path.js';
import { builtin } from '../../engine/platform.js';
import { systemError } from '../system-error.js';
import { HEARTBEAT, isAlive, newOwner, OWNER } from './partial-file-owner.js';
import { SmallWrites } from './small-writes.js';
import type { ResumableTarget } from './target.js';

/** The files that a run keeps next to its target while it is working. */
interface Unfinished {
  owner: string;
  part: string;
  journal: string;
  /** The old file, while the files of its set are being replaced. */
  old: string;
}

/** The partial files of this process that will not be resumed. */
const unwanted = new Set<Unfinished>();

/**
 * Synchronously removes the partial files of this process that need not be kept: for a program that must end now.
 */
export function removeUnfinished(): void {
  for (const { part, journal } of unwanted) {
    for (const file of [part, journal]) {
      try {
        builtin('node:fs').rmSync(file, { force: true });
      } catch {
        // There is no one left to report to.
      }
    }
  }
}

/**
 * A file in Node. It is written under a temporary name next to its own and renamed when complete, so that its name
 * always refers to a whole file: the old one or the new one. A journal is next to it, and both stay if the process is
 * killed: `.NAME.OWNER.part` and `.NAME.OWNER.journal`, where a long NAME is shortened. The next run resumes from them
 * or removes them, unless the run that owns them is alive. A symbolic link stays: the file it points to is written, or
 * created if it does not exist.
 */
export class FileTarget implements ResumableTarget {
  readonly #path: string;
  #final = '';
  #unfinished: Unfinished | undefined;
  #part: FileHandle | undefined;
  #journal: FileHandle | undefined;
  #heart: NodeJS.Timeout | undefined;
  #size = 0;
  #small = new SmallWrites((offset, bytes) => this.#write(offset, bytes));
  /** Whether the partial file stays if the program must end. */
  #kept = false;

  constructor(path: string) {
    this.#path = path;
  }

  async files(): Promise<readonly FileReference[]> {
    this.#final = await destination(this.#path);
    const dead = (await this.#leftovers()).filter(({ alive }) => !alive);
    const names = dead.flatMap(({ part, journal, old }) => [part, journal, old]);
    const temporary = names.map((path) => ({ kind: 'path', path, temporary: true }) as const);
    return [{ kind: 'path', path: this.#path }, ...temporary];
  }

  async fits(size: number): Promise<void> {
    await this.#doing('cannot write', async () => {
      await this.#prepare();
      await this.#checkSpace(size);
    });
  }

  async open(size: number): Promise<void> {
    this.#size = size;
    await this.#doing('cannot write', async () => {
      if (this.#part) return this.#beginAnew();
      await this.#prepare();
      await this.#clearAway();
      await this.#checkSpace(size);
      await this.#create('wx+');
    });
  }

  async reopen(size: number): Promise<Uint8Array<ArrayBuffer> | undefined> {
    let left: Uint8Array<ArrayBuffer> | undefined;
    this.#size = size;
    this.#kept = true;
    await this.#doing('cannot write', async () => {
      await this.#prepare();
      const found = await this.#takeOver();
      const there = found ? (await fs().stat(this.#files().part)).blocks * BLOCK : 0;
      await this.#checkSpace(Math.max(0, size - there)).catch(async (error: unknown) => {
        await this.suspend();
        throw error;
      });
      await this.#create(found ? 'r+' : 'wx+');
      // The newest is resumed; older ones are useless.
      await this.#clearAway();
      if (found) left = await this.#readJournal();
    });
    return left;
  }

  async write(offset: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    // Also if nothing is written yet: a target that is not open fails at once.
    this.#open();
    await this.#small.add(offset, bytes);
  }

  async #write(offset: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    await this.#doing('cannot write', async () => {
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await this.#open().write(bytes, done, bytes.length - done, offset + done);
        done += bytesWritten;
      }
    });
  }

  async read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(length);
    let filled = 0;
    await this.#small.empty();
    await this.#doing('cannot read back', async () => {
      for (let got = 1; got > 0 && filled < length; filled += got) {
        got = (await this.#open().read(bytes, filled, length - filled, offset + filled)).bytesRead;
      }
    });
    return bytes.subarray(0, filled);
  }

  async log(entries: Uint8Array<ArrayBuffer>): Promise<void> {
    await this.#small.empty();
    await this.#doing('cannot write', async () => {
      await this.#open().datasync();
      this.#journal ??= await fs().open(this.#files().journal, 'a');
      await this.#journal.appendFile(entries);
      await this.#journal.datasync();
    });
  }

  async flush(): Promise<void> {
    await this.#small.empty();
    await this.#doing('cannot complete', async () => {
      const part = this.#open();
      // The partial file may have been started for a longer output.
      if ((await part.stat()).size > this.#size) await part.truncate(this.#size);
      await part.sync();
    });
  }

  async withdraw(): Promise<() => Promise<void>> {
    const { old } = this.#files();
    let moved = false;
    await this.#doing('cannot replace', async () => {
      moved = await fs()
        .rename(this.#final, old)
        .then(
          () => true,
          async (error) => {
            if (await statOf(this.#final)) throw error;
            return false;
          },
        );
    });
    return async () => {
      if (moved) await fs().rename(old, this.#final);
    };
  }

  async close(): Promise<void> {
    await this.flush();
    await this.#doing('cannot complete', async () => {
      const files = this.#files();
      await this.#letGo();
      await fs().rename(files.part, this.#final);
      this.#unfinished = undefined;
      unwanted.delete(files);
      // The file is complete: the next run removes what cannot be removed now.
      for (const file of [files.journal, files.old]) {
        await fs()
          .rm(file, { force: true })
          .catch(() => {});
      }
      await syncFolder(path().dirname(this.#final));
    });
  }

  async abort(): Promise<void> {
    await this.#letGo();
    const files = this.#unfinished;
    this.#unfinished = undefined;
    if (!files) return;
    await remove(files);
    unwanted.delete(files);
  }

  async suspend(): Promise<void> {
    await this.#letGo();
    // Its owner counts as alive as long as this process runs, but no longer uses it, so the owner's name is removed.
    const files = this.#unfinished;
    this.#unfinished = undefined;
    if (!files) return;
    unwanted.delete(files);
    await this.#rename(files, NOBODY).catch(() => {});
  }

  #open(): FileHandle {
    if (this.#part) return this.#part;
    throw new QuantpressError('ARGUMENT', `'${this.#path}' is not open for writing`, { path: this.#path });
  }

  #files(): Unfinished {
    if (this.#unfinished) return this.#unfinished;
    throw new QuantpressError('ARGUMENT', `'${this.#path}' is not open for writing`, { path: this.#path });
  }

  /** Checks what would otherwise fail only after all the work, at the rename. */
  async #prepare(): Promise<void> {
    this.#final = await destination(this.#path);
    const stats = await statOf(this.#final);
    const kind = stats && kindOf(stats);
    if (kind === undefined) return;
    throw new QuantpressError('UNSUPPORTED', `cannot write '${this.#path}': it is ${kind}`, { path: this.#path });
  }

  async #create(flags: 'wx+' | 'r+'): Promise<void> {
    this.#unfinished ??= this.#names(newOwner());
    const { part } = this.#unfinished;
    if (!this.#kept) unwanted.add(this.#unfinished);
    this.#part = await fs().open(part, flags);
    this.#heart = setInterval(
      () =>
        void fs()
          .utimes(part, new Date(), new Date())
          .catch(() => {}),
      HEARTBEAT,
    );
    this.#heart.unref();
    await syncFolder(path().dirname(this.#final));
  }

  /**
   * A partial file without a journal, or with one that is too long to be ours, is treated as one with an empty journal.
   */
  async #readJournal(): Promise<Uint8Array<ArrayBuffer>> {
    const { journal } = this.#files();
    const size = (await statOf(journal))?.size ?? 0;
    return size > MAX_JOURNAL_BYTES || size === 0 ? new Uint8Array(0) : new Uint8Array(await fs().readFile(journal));
  }

  async #beginAnew(): Promise<void> {
    await fs().rm(this.#files().journal, { force: true });
    await this.#part?.truncate(0);
  }

  async #letGo(): Promise<void> {
    await this.#small.empty().catch(() => {});
    clearInterval(this.#heart);
    const handles = [this.#part, this.#journal];
    this.#part = undefined;
    this.#journal = undefined;
    await Promise.all(handles.map((handle) => handle?.close().catch(() => {})));
  }

  /** Takes the newest partial file of a run that has ended by renaming it: of several runs only one succeeds. */
  async #takeOver(): Promise<boolean> {
    const all = await this.#leftovers();
    const dead = all.filter(({ alive }) => !alive).sort((a, b) => b.modified - a.modified);
    for (const candidate of dead) {
      const taken = await this.#rename(candidate, newOwner()).catch(() => undefined);
      if (!taken) continue;
      this.#unfinished = taken;
      return true;
    }
    if (!all.some(({ alive }) => alive)) return false;
    const message = `cannot resume '${this.#path}': another run is writing it`;
    throw new QuantpressError('BUSY', message, { path: this.#path });
  }

  async #rename(from: Unfinished, owner: string): Promise<Unfinished> {
    const to = this.#names(owner);
    await fs().rename(from.part, to.part);
    await fs()
      .rename(from.journal, to.journal)
      .catch(() => {}); // without one there is nothing to resume
    return to;
  }

  /** Removes the leftovers of killed runs; files of running ones stay. */
  async #clearAway(): Promise<void> {
    for (const leftover of await this.#leftovers()) {
      if (leftover.alive) continue;
      await remove(leftover);
      await fs().rm(leftover.old, { force: true });
    }
  }

  async #leftovers(): Promise<(Unfinished & { alive: boolean; modified: number })[]> {
    const folder = path().dirname(this.#final);
    const name = shortName(path().basename(this.#final));
    const found: (Unfinished & { alive: boolean; modified: number })[] = [];
    const owners = new Set<string>();
    // A folder may be writable but not readable.
    for (const entry of await fs()
      .readdir(folder)
      .catch(() => [])) {
      if (!entry.startsWith(`.${name}.`)) continue;
      const owner = LEFTOVER.exec(entry.slice(name.length + 2))?.[1];
      if (owner !== undefined && owner !== this.#unfinished?.owner) owners.add(owner);
    }
    for (const owner of owners) {
      const names = this.#names(owner);
      const stats = (await statOf(names.part)) ?? (await statOf(names.journal)) ?? (await statOf(names.old));
      if (!stats) continue;
      const alive = owner !== NOBODY && isAlive(owner, Date.now() - stats.mtimeMs);
      found.push({ ...names, alive, modified: stats.mtimeMs });
    }
    return found;
  }

  #names(owner: string): Unfinished {
    const stem = path().join(path().dirname(this.#final), `.${shortName(path().basename(this.#final))}.${owner}`);
    return { owner, part: `${stem}.part`, journal: `${stem}.journal`, old: `${stem}.old` };
  }

  async #checkSpace(size: number): Promise<void> {
    // Deno needs a separate permission; without it only writing shows whether there is space.
    const found = await fs()
      .statfs(path().dirname(this.#final))
      .catch((error: unknown) => {
        if (error instanceof Error && 'code' in error && error.code === 'ENOENT') throw error;
        return undefined;
      });
    // Some file systems do not report it.
    if (!found || found.blocks === 0) return;
    const free = found.bavail * found.bsize;
    if (free >= size) return;
    const message = `cannot write '${this.#path}': it needs ${size} bytes, but the disk has only ${free} free`;
    throw new QuantpressError('NO_SPACE', message, { path: this.#path, needed: size, free });
  }

  async #doing(what: string, action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      throw systemError(error, `${what} '${this.#path}'`, { path: this.#path });
    }
  }
}

/** The size of a block in `stat`. */
const BLOCK = 512;

/** The owner of files that were suspended on purpose. */
const NOBODY = 'interrupted';

const LEFTOVER = new RegExp(`^(${OWNER}|${NOBODY})\\.(?:part|journal|old)$`);

async function remove({ part, journal }: Unfinished): Promise<void> {
  await fs().rm(part, { force: true });
  await fs().rm(journal, { force: true });
}

const fs = () => builtin('node:fs/promises');
const path = () => builtin('node:path');

/** A rename survives a power cut once its folder is flushed. Not every system can open a folder. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await fs()
    .open(folder, 'r')
    .catch(() => undefined);
  await handle?.sync().catch(() => {});
  await handle?.close();
}
