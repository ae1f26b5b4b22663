import type { Stats } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { QuantpressError } from './error.js';
import { MAX_JOURNAL_BYTES } from './journal.js';
import { builtin } from './runtime.js';
import { systemError } from './system-error.js';
import { HEARTBEAT, isAlive, newOwner, OWNER } from './target-owner.js';
import { PipeTarget } from './target-pipe.js';
import type { ResumableTarget, Target } from './target.js';

/** What a run keeps beside its target while it is at work. */
interface Unfinished {
  owner: string;
  part: string;
  journal: string;
}

/**
 * A file of Node's. It is written under a temporary name beside its own and renamed when complete, so that a file of
 * that name is always a whole one: the old one or the new one. A journal is beside it, and both are left when the process
 * is killed: `.NAME.OWNER.part` and `.NAME.OWNER.journal`. The next run takes them over or clears them away, unless the
 * run that owns them is alive.
 */
export class FileTarget implements ResumableTarget {
  readonly #path: string;
  #final = '';
  #unfinished: Unfinished | undefined;
  #part: FileHandle | undefined;
  #journal: FileHandle | undefined;
  #heart: NodeJS.Timeout | undefined;
  #size = 0;

  constructor(path: string) {
    this.#path = path;
  }

  async fits(size: number): Promise<void> {
    await this.#doing('cannot write', async () => {
      if (this.#final === '') await this.#prepare();
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
    await this.#doing('cannot write', async () => {
      await this.#prepare();
      const found = await this.#takeOver();
      const there = found ? (await fs().stat(this.#files().part)).blocks * BLOCK : 0;
      await this.#checkSpace(Math.max(0, size - there)).catch(async (error: unknown) => {
        await this.suspend();
        throw error;
      });
      await this.#create(found ? 'r+' : 'wx+');
      // The newest is taken over; older ones are of no use to anybody.
      await this.#clearAway();
      if (found) left = await this.#readJournal();
    });
    return left;
  }

  async write(offset: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
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
    await this.#doing('cannot read back', async () => {
      for (let got = 1; got > 0 && filled < length; filled += got) {
        got = (await this.#open().read(bytes, filled, length - filled, offset + filled)).bytesRead;
      }
    });
    return bytes.subarray(0, filled);
  }

  async log(entries: Uint8Array<ArrayBuffer>): Promise<void> {
    await this.#doing('cannot write', async () => {
      await this.#open().datasync();
      this.#journal ??= await fs().open(this.#files().journal, 'a');
      await this.#journal.appendFile(entries);
      await this.#journal.datasync();
    });
  }

  async flush(): Promise<void> {
    await this.#doing('cannot complete', async () => {
      const part = this.#open();
      // What was taken over may have been begun as something longer.
      if ((await part.stat()).size > this.#size) await part.truncate(this.#size);
      await part.sync();
    });
  }

  async close(): Promise<void> {
    await this.flush();
    await this.#doing('cannot complete', async () => {
      const { part, journal } = this.#files();
      await this.#letGo();
      await fs().rename(part, this.#final);
      this.#unfinished = undefined;
      await fs().rm(journal, { force: true });
      await syncFolder(path().dirname(this.#final));
    });
  }

  async abort(): Promise<void> {
    await this.#letGo();
    if (this.#unfinished) await remove(this.#unfinished);
    this.#unfinished = undefined;
  }

  async suspend(): Promise<void> {
    await this.#letGo();
    // Its owner is alive as long as this process is, and has nothing more to do with it: so it becomes nobody's.
    if (this.#unfinished) await this.#rename(this.#unfinished, NOBODY).catch(() => {});
    this.#unfinished = undefined;
  }

  #open(): FileHandle {
    if (this.#part) return this.#part;
    throw new QuantpressError('ARGUMENT', `'${this.#path}' is not open for writing`, { path: this.#path });
  }

  #files(): Unfinished {
    if (this.#unfinished) return this.#unfinished;
    throw new QuantpressError('ARGUMENT', `'${this.#path}' is not open for writing`, { path: this.#path });
  }

  async #prepare(): Promise<void> {
    // Through a symbolic link, so that the link stays one.
    this.#final = await fs()
      .realpath(this.#path)
      .catch(() => this.#path);
    await this.#refuseFolder();
  }

  async #create(flags: 'wx+' | 'r+'): Promise<void> {
    this.#unfinished ??= this.#names(newOwner());
    const { part } = this.#unfinished;
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

  /** A part without a journal, or with one that is too long to be ours, is as one with an empty one. */
  async #readJournal(): Promise<Uint8Array<ArrayBuffer>> {
    const { journal } = this.#files();
    const size = (await existing(journal))?.size ?? 0;
    return size > MAX_JOURNAL_BYTES || size === 0 ? new Uint8Array(0) : new Uint8Array(await fs().readFile(journal));
  }

  async #beginAnew(): Promise<void> {
    await fs().rm(this.#files().journal, { force: true });
    await this.#part?.truncate(0);
  }

  async #letGo(): Promise<void> {
    clearInterval(this.#heart);
    const handles = [this.#part, this.#journal];
    this.#part = undefined;
    this.#journal = undefined;
    await Promise.all(handles.map((handle) => handle?.close().catch(() => {})));
  }

  /** The newest unfinished file of a run that is no more, by renaming it: of several who try only one can. */
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
    const message = `cannot resume '${this.#path}': another run is at work on it`;
    throw new QuantpressError('BUSY', message, { path: this.#path });
  }

  async #rename(from: Unfinished, owner: string): Promise<Unfinished> {
    const to = this.#names(owner);
    await fs().rename(from.part, to.part);
    await fs()
      .rename(from.journal, to.journal)
      .catch(() => {}); // without one there is nothing to go on with
    return to;
  }

  /** Removes what runs that were killed have left; what is somebody's stays. */
  async #clearAway(): Promise<void> {
    for (const leftover of await this.#leftovers()) if (!leftover.alive) await remove(leftover);
  }

  async #leftovers(): Promise<(Unfinished & { alive: boolean; modified: number })[]> {
    const folder = path().dirname(this.#final);
    const name = path().basename(this.#final);
    const found: (Unfinished & { alive: boolean; modified: number })[] = [];
    const owners = new Set<string>();
    // A folder may be one that can be written and not read.
    for (const entry of await fs()
      .readdir(folder)
      .catch(() => [])) {
      if (!entry.startsWith(`.${name}.`)) continue;
      const owner = LEFTOVER.exec(entry.slice(name.length + 2))?.[1];
      if (owner !== undefined && owner !== this.#unfinished?.owner) owners.add(owner);
    }
    for (const owner of owners) {
      const names = this.#names(owner);
      const stats = (await existing(names.part)) ?? (await existing(names.journal));
      if (!stats) continue;
      const alive = owner !== NOBODY && isAlive(owner, Date.now() - stats.mtimeMs);
      found.push({ ...names, alive, modified: stats.mtimeMs });
    }
    return found;
  }

  #names(owner: string): Unfinished {
    const stem = path().join(path().dirname(this.#final), `.${path().basename(this.#final)}.${owner}`);
    return { owner, part: `${stem}.part`, journal: `${stem}.journal` };
  }

  /** A rename onto a folder would fail only after all the work. */
  async #refuseFolder(): Promise<void> {
    if (!(await existing(this.#final))?.isDirectory()) return;
    throw new QuantpressError('UNSUPPORTED', `cannot write '${this.#path}': it is a directory`, { path: this.#path });
  }

  async #checkSpace(size: number): Promise<void> {
    const { bavail, bsize, blocks } = await fs().statfs(path().dirname(this.#final));
    const free = bavail * bsize;
    // Some file systems do not say.
    if (free >= size || blocks === 0) return;
    const message = `cannot write '${this.#path}': it needs ${size} bytes and the disk has ${free} free`;
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

/** Bytes of what `stat` counts as a block. */
const BLOCK = 512;

/** The owner of what was let go on purpose. */
const NOBODY = 'interrupted';

const LEFTOVER = new RegExp(`^(${OWNER}|${NOBODY})\\.(?:part|journal)$`);

async function remove({ part, journal }: Unfinished): Promise<void> {
  await fs().rm(part, { force: true });
  await fs().rm(journal, { force: true });
}

/** The target of a path: a file, or what stands there if it is a device or a pipe. */
export async function pathTarget(path: string): Promise<Target> {
  if (!builtin('node:fs/promises')) {
    throw new QuantpressError('UNSUPPORTED', `'${path}' is a path, and there is no file system here`, { path });
  }
  const stats = await existing(path);
  return stats && !stats.isFile() && !stats.isDirectory() ? new PipeTarget(path) : new FileTarget(path);
}

const fs = () => builtin('node:fs/promises');
const path = () => builtin('node:path');

async function existing(path: string): Promise<Stats | undefined> {
  return fs()
    .stat(path)
    .catch(() => undefined);
}

/** A rename is safe from a power cut when its folder is on the disk. Not every system lets a folder be opened. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await fs()
    .open(folder, 'r')
    .catch(() => undefined);
  await handle?.sync().catch(() => {});
  await handle?.close();
}
