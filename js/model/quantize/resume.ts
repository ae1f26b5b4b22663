/** What a conversion leaves behind when it is interrupted, and how the next one goes on with it. */

import { QuantpressError } from '../../engine/error.js';
import { hashOf, sha256, xxh64 } from '../../engine/hash.js';
import {
  checkJob,
  journalHead,
  journalTile,
  parseJournal,
  type JobIdentity,
  type JournalTile,
  type Json,
} from './journal.js';
import type { Plan, Recipe } from '../plan.js';
import type { Model } from '../model.js';
import { readExactly } from '../../io/source/source.js';
import { isResumable, type ResumableTarget, type Target } from '../../io/target/target.js';
import { call } from '../../engine/wasm.js';

/** The journal is written this often at most (milliseconds), and so seldom that it takes a tenth of the time. */
const PAUSE = 100;
const SHARE = 9;

/** What a job is, in hashes. It does not depend on where its files are, nor on the number of workers. */
export async function identifyJob(
  { source, headerBytes }: Model,
  plan: Plan,
  recipe: Recipe | string,
): Promise<JobIdentity> {
  const state = await source.fingerprint?.();
  const header = state === undefined ? undefined : await readExactly(source, 0, Math.min(headerBytes, source.size));
  const named = typeof recipe === 'string' ? { preset: recipe } : recipe;
  return {
    engine: call((engine) => engine.version()),
    source: header ? `${source.size} ${state} ${hashOf(sha256(), header)}` : '',
    imatrix: plan.imatrix ?? '',
    recipe: `${hashOf(sha256(), plan.header())} ${hashOfPlaces(named, plan)}`,
  };
}

/** What of a recipe and of a plan decides the bytes, piece by piece: a plan may have a million tensors. */
function hashOfPlaces(recipe: Recipe, { tensors }: Plan): string {
  const [hasher, encoder] = [sha256(), new TextEncoder()];
  hasher.update(encoder.encode(JSON.stringify(Object.entries(recipe).sort())));
  for (let at = 0; at < tensors.length; at += PLACES) {
    const places = tensors
      .slice(at, at + PLACES)
      .map((tensor) => [
        ...[tensor.sourceOffset, tensor.from, tensor.to, tensor.targetOffset, tensor.rows, tensor.rowLength],
        tensor.hasImportance,
      ]);
    hasher.update(encoder.encode(JSON.stringify(places)));
  }
  return hasher.hex();
}

const PLACES = 4096;

/** The progress of a job at a target that can keep it; nothing where `resume` is not asked for and the target cannot. */
export function saveProgress(
  target: Target,
  job: JobIdentity,
  resume: boolean,
  stop: AbortController,
): SavedProgress | undefined {
  if (isResumable(target)) return new SavedProgress(target, job, resume, stop);
  if (!resume) return undefined;
  const message = 'this target cannot be resumed: a path (Node) and an OpfsTarget can';
  throw new QuantpressError('UNSUPPORTED', message, {});
}

/** Tiles that are done, in the journal of a target. */
export class SavedProgress {
  readonly #target: ResumableTarget;
  readonly #job: JobIdentity;
  readonly #resume: boolean;
  readonly #stop: AbortController;
  #tiles = new Map<number, JournalTile>();
  #waiting: JournalTile[] = [];
  #writing: Promise<void> | undefined;
  #finished = false;
  /** Ends a pause. */
  #wake: (() => void) | undefined;
  /** What is there is another job's, and stays. */
  #keep = false;

  constructor(target: ResumableTarget, job: JobIdentity, resume: boolean, stop: AbortController) {
    this.#target = target;
    this.#job = job;
    this.#resume = resume;
    this.#stop = stop;
  }

  /** Opens the target: with what an earlier run of the same job has left, if that is wanted and there is some. */
  async open(size: number): Promise<void> {
    const left = this.#resume ? await this.#target.reopen(size) : await this.#target.open?.(size);
    const journal = left && parseJournal(left);
    if (journal) {
      try {
        checkJob(journal.job, this.#job);
      } catch (error) {
        this.#keep = true;
        throw error;
      }
      this.#tiles = journal.tiles;
      return;
    }
    // Without its first line a journal says nothing of what is there: the work begins anew.
    if (left) await this.#target.open?.(size);
    await this.#target.log(journalHead(this.#job));
  }

  /** The bytes of a tile that an earlier run has written, if they are what it noted. */
  async restore({ offset, length }: { offset: number; length: number }): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const tile = this.#tiles.get(offset);
    if (tile?.length !== length) return undefined;
    const bytes = await this.#target.read(offset, length);
    return bytes.length === length && hashOf(xxh64(), bytes) === tile.hash ? bytes : undefined;
  }

  /** What was noted of a tile that was restored. */
  noteOf(offset: number): Json | undefined {
    return this.#tiles.get(offset)?.note;
  }

  /** One more tile is written; `note` is what {@link noteOf} shall give to a later run. */
  add(offset: number, bytes: Uint8Array, note?: Json): void {
    const hash = hashOf(xxh64(), bytes);
    this.#waiting.push({ offset, length: bytes.length, hash, ...(note !== undefined && { note }) });
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
    });
  }

  /** Ends the writing of the journal: the file is complete and needs none, or there is an error already. */
  async finish(): Promise<void> {
    this.#finished = true;
    this.#wake?.();
    await this.#writing;
  }

  /** Writes the last of the journal, so that nothing is lost that has been done. */
  async stop(): Promise<void> {
    await this.finish().catch(() => {});
    if (this.#resume && this.#waiting.length > 0) await this.#flush().catch(() => {});
  }

  /** Whether a run that failed so leaves its work for another: not if that could only fail again, or was begun in vain. */
  keepsAfter(error: unknown): boolean {
    if (!this.#resume) return false;
    if (this.#keep || !(error instanceof QuantpressError)) return true;
    return error.code !== 'CHANGED' && (error.kind === 'Io' || error.kind === 'Internal');
  }

  /** Lets go of the target, and leaves what is there. */
  suspend(): Promise<void> {
    return this.#target.suspend();
  }

  async #write(): Promise<void> {
    while (this.#waiting.length > 0 && !this.#finished) {
      const began = performance.now();
      try {
        await this.#flush();
      } catch (error) {
        this.#stop.abort(error);
        return;
      }
      await this.#pause(Math.max(PAUSE, (performance.now() - began) * SHARE));
    }
  }

  async #flush(): Promise<void> {
    const tiles = this.#waiting.splice(0);
    const lines = tiles.map(journalTile);
    await this.#target.log(new Uint8Array(await new Blob(lines).arrayBuffer()));
  }

  #pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
