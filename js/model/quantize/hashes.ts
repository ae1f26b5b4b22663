/** Hashes of a file and of its tensors, computed while it is written. */

import { hashOf, sha256, xxh64, type Hasher } from '../../engine/hash.js';
import { InOrder, type Target } from '../../io/target/target.js';

const NOTHING = new Uint8Array(0);

/** The hashes of one tensor's bytes, in hexadecimal. */
interface TensorHashes {
  sha256: string;
  xxh64: string;
}

/** The hashes of what was written. */
export interface HashedOutput {
  /** Of all bytes. */
  sha256: string;
  /** Of each file. */
  files: string[];
  tensors: TensorHashes[];
}

/** Takes in pieces in any order. Each waits for those before it, so whoever limits the pieces under way limits memory. */
export class FileHashes {
  readonly #whole = sha256();
  /** Where the second file begins and each after it, and what hashes each: none where one file is all. */
  readonly #starts: number[];
  readonly #files: Hasher[];
  readonly #left: number[];
  readonly #tensors: TensorHashes[];
  readonly #turns: InOrder;
  /** The tensor each piece is of, by its offset. */
  readonly #owners = new Map<number, number>();
  /** The hashers of the tensor that is at its turn. */
  #now: { sha256: Hasher; xxh64: Hasher } | undefined;

  constructor(tensors: readonly { targetBytes: number }[], shards: readonly { offset: number }[], signal: AbortSignal) {
    this.#starts = shards.slice(1).map(({ offset }) => offset);
    this.#files = this.#starts.length > 0 ? shards.map(() => sha256()) : [];
    this.#left = tensors.map(({ targetBytes }) => targetBytes);
    const empty = { sha256: hashOf(sha256(), NOTHING), xxh64: hashOf(xxh64(), NOTHING) };
    this.#tensors = tensors.map(() => empty);
    const sink: Target = {
      write: async (offset, bytes) => this.#hash(offset, bytes),
      close: async () => {},
      abort: async () => {},
    };
    this.#turns = new InOrder(sink, signal);
  }

  /** The next bytes at `offset`, of a tensor or of what is between them. */
  async add(offset: number, bytes: Uint8Array<ArrayBuffer>, tensor?: number): Promise<void> {
    if (tensor !== undefined) this.#owners.set(offset, tensor);
    await this.#turns.write(offset, bytes);
  }

  /** The hashes, when everything was added. */
  result(): HashedOutput {
    const whole = this.#whole.hex();
    const files = this.#files.length > 0 ? this.#files.map((file) => file.hex()) : [whole];
    return { sha256: whole, files, tensors: this.#tensors };
  }

  #hash(offset: number, bytes: Uint8Array): void {
    this.#whole.update(bytes);
    this.#files[this.#starts.findLastIndex((start) => start <= offset) + 1]?.update(bytes);
    const index = this.#owners.get(offset);
    this.#owners.delete(offset);
    if (index === undefined) return;
    this.#now ??= { sha256: sha256(), xxh64: xxh64() };
    this.#now.sha256.update(bytes);
    this.#now.xxh64.update(bytes);
    this.#left[index] = (this.#left[index] ?? 0) - bytes.length;
    if (this.#left[index] > 0) return;
    this.#tensors[index] = { sha256: this.#now.sha256.hex(), xxh64: this.#now.xxh64.hex() };
    this.#now = undefined;
  }
}
