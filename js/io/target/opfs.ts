/** A file in the browser's own storage (OPFS) that outlasts a closed tab. */

import { expectObject, expectText } from '../../engine/check.js';
import { QuantpressError } from '../../engine/error.js';
import type { FileReference } from '../file-identity.js';
import { startThread, type Thread } from '../../pool/thread.js';
import { systemError } from '../system-error.js';
import type { ResumableTarget } from './target.js';
import type { OpfsCall } from '../../pool/opfs-files.js';
import { unpackError, type FromWorker } from '../../pool/protocol.js';

/**
 * A file in a folder of the origin-private file system. It is written in place as `NAME.part`, with the journal
 * `NAME.journal` next to it, and renamed when it is complete. If the tab is closed both stay, and `quantizeModel(..., {
 * resume: true })` with another `OpfsTarget` of the same name continues. Only one tab at a time can write it (`BUSY`):
 * a Web Lock ensures this if available, and always the lock of browsers on files that are being written.
 *
 * @example
 * ```ts
 * const folder = await navigator.storage.getDirectory();
 * const target = new OpfsTarget(folder, 'model-Q4_K_M.gguf');
 * await quantizeModel(model, target, 'Q4_K_M', { resume: true });
 * const file = await (await folder.getFileHandle('model-Q4_K_M.gguf')).getFile();
 * ```
 */
export class OpfsTarget implements ResumableTarget {
  readonly #folder: FileSystemDirectoryHandle;
  readonly #name: string;
  readonly #script: URL | string | undefined;
  #writer: Writer | undefined;
  #unlock: (() => void) | undefined;

  /** `workerUrl` as in `RunnerOptions`. */
  constructor(folder: FileSystemDirectoryHandle, name: string, workerUrl?: URL | string) {
    expectObject('folder', folder);
    if (typeof folder.getFileHandle !== 'function') {
      throw new QuantpressError('ARGUMENT', 'folder must be a FileSystemDirectoryHandle', { argument: 'folder' });
    }
    expectText('name', name);
    this.#folder = folder;
    this.#name = name;
    this.#script = workerUrl;
  }

  async files(): Promise<readonly FileReference[]> {
    const names = [this.#name, this.#part, this.#journal, this.#old];
    return names.map((name) => ({ kind: 'entry', folder: this.#folder, name }));
  }

  /** Whether an interrupted run has left something to resume. */
  async hasUnfinished(): Promise<boolean> {
    const found = await this.#folder.getFileHandle(this.#journal).catch(() => undefined);
    return found !== undefined && (await found.getFile()).size > 0;
  }

  /** Discards what an interrupted run has left. */
  async discard(): Promise<void> {
    await this.#folder.removeEntry(this.#part).catch(() => {}); // may not exist
    await this.#folder.removeEntry(this.#journal).catch(() => {});
  }

  async open(size: number): Promise<void> {
    if (!this.#writer) {
      await this.#checkSpace(size);
      await this.#start();
    }
    await this.#call({ op: 'clear', size });
  }

  async reopen(size: number): Promise<Uint8Array<ArrayBuffer> | undefined> {
    await this.#checkSpace(size);
    const journal = await this.#start();
    if (journal.length > 0) return journal;
    await this.#call({ op: 'clear', size });
    return undefined;
  }

  async write(offset: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    await this.#call({ op: 'write', offset, bytes });
  }

  /** By the browser's own estimate; without one only writing shows it. */
  async fits(size: number): Promise<void> {
    const { quota, usage = 0 } = (await globalThis.navigator?.storage?.estimate?.()) ?? {};
    if (quota === undefined || quota - usage >= size) return;
    const free = Math.max(0, quota - usage);
    const message = `cannot write '${this.#name}': it needs ${size} bytes, but the browser has room for only ${free}`;
    throw new QuantpressError('NO_SPACE', message, { name: this.#name, needed: size, free });
  }

  async flush(): Promise<void> {
    await this.#call({ op: 'flush' });
  }

  async read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    return this.#call({ op: 'read', offset, length });
  }

  async log(entries: Uint8Array<ArrayBuffer>): Promise<void> {
    await this.#call({ op: 'log', entries });
  }

  async close(): Promise<void> {
    await this.#call({ op: 'close' });
    await this.#stop(async () => {
      const part = await this.#folder.getFileHandle(this.#part);
      await move(part, this.#name);
      await this.discard();
      await this.#folder.removeEntry(this.#old).catch(() => {}); // exists only among several files
    });
  }

  async withdraw(): Promise<() => Promise<void>> {
    const old = await this.#folder.getFileHandle(this.#name).catch(() => undefined);
    if (!old) return async () => {};
    await this.#folder.removeEntry(this.#old).catch(() => {}); // left by a killed run
    await move(old, this.#old);
    return () => move(old, this.#name);
  }

  async abort(): Promise<void> {
    // Without a writer there was no lock: existing files belong to another tab.
    if (this.#writer) await this.#stop(() => this.discard());
  }

  async suspend(): Promise<void> {
    await this.#stop(async () => {});
  }

  /** Leftovers of an earlier run already count against the quota and are reused or discarded. */
  async #checkSpace(size: number): Promise<void> {
    const left = await this.#folder.getFileHandle(this.#part).catch(() => undefined);
    await this.fits(Math.max(0, size - ((await left?.getFile())?.size ?? 0)));
  }

  get #part(): string {
    return `${this.#name}.part`;
  }

  get #journal(): string {
    return `${this.#name}.journal`;
  }

  /** The file that is replaced, while others of its set are. */
  get #old(): string {
    return `${this.#name}.old`;
  }

  async #start(): Promise<Uint8Array<ArrayBuffer>> {
    this.#unlock = await lock(`quantpress ${this.#folder.name}/${this.#name}`, this.#name);
    this.#writer = new Writer(this.#script);
    try {
      return await this.#call({ op: 'open', folder: this.#folder, part: this.#part, journal: this.#journal });
    } catch (error) {
      await this.#stop(async () => {});
      throw error;
    }
  }

  async #call(call: OpfsCall): Promise<Uint8Array<ArrayBuffer>> {
    if (this.#writer) return this.#writer.call(call);
    throw new QuantpressError('ARGUMENT', `'${this.#name}' is not open for writing`, { name: this.#name });
  }

  /** Ends the worker, does the remaining work while the file is still locked, and unlocks it. */
  async #stop(last: () => Promise<void>): Promise<void> {
    await this.#writer?.call({ op: 'close' }).catch(() => {}); // already closed, or failed: terminating it closes the files
    await this.#writer?.end();
    this.#writer = undefined;
    try {
      await last();
    } catch (error) {
      throw systemError(error, `cannot complete '${this.#name}'`, { name: this.#name });
    } finally {
      this.#unlock?.();
      this.#unlock = undefined;
    }
  }
}

/** Supported by all browsers with OPFS, but not yet in TypeScript's library. */
function move(file: FileSystemFileHandle, name: string): Promise<void> {
  return (file as unknown as { move(name: string): Promise<void> }).move(name);
}

/** The worker that holds the files. */
class Writer {
  readonly #thread: Thread;
  readonly #calls = new Map<number, { resolve(bytes: Uint8Array<ArrayBuffer>): void; reject(reason: unknown): void }>();
  #failed: QuantpressError | undefined;
  #lastId = 0;

  constructor(script: URL | string | undefined) {
    this.#thread = startThread(
      {
        message: (message) => this.#receive(message),
        failed: (reason) => this.#fail(new QuantpressError('WORKER', `the writing worker failed: ${reason}`, {})),
      },
      script,
    );
  }

  call(call: OpfsCall): Promise<Uint8Array<ArrayBuffer>> {
    return new Promise((resolve, reject) => {
      if (this.#failed) return reject(this.#failed);
      const id = ++this.#lastId;
      this.#calls.set(id, { resolve, reject });
      // A copy, not a transfer: the caller keeps the bytes.
      this.#thread.post({ type: 'opfs', id, call }, []);
    });
  }

  async end(): Promise<void> {
    await this.#thread.terminate();
    this.#fail(new QuantpressError('WORKER', 'the writing worker was terminated', {}));
  }

  #receive(message: FromWorker): void {
    const waiting = this.#calls.get(message.id);
    this.#calls.delete(message.id);
    if (message.type === 'done') waiting?.resolve(message.result as Uint8Array<ArrayBuffer>);
    else waiting?.reject(unpackError(message.error));
  }

  #fail(error: QuantpressError): void {
    this.#failed ??= error;
    for (const { reject } of this.#calls.values()) reject(error);
    this.#calls.clear();
  }
}

/** Takes a Web Lock, which ends with the tab at the latest. Returns a function that releases it. */
async function lock(name: string, file: string): Promise<() => void> {
  if (!globalThis.navigator?.locks) return () => {};
  return new Promise((resolve, reject) => {
    const held = (granted: Lock | null) => {
      if (granted) return new Promise<void>((unlock) => resolve(() => unlock()));
      const message = `another tab is writing '${file}'`;
      reject(new QuantpressError('BUSY', message, { name: file }));
      return undefined;
    };
    navigator.locks.request(name, { ifAvailable: true }, held).catch(reject);
  });
}
