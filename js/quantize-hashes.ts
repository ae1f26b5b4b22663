/** Hashes of a file and of its tensors, computed while it is written. */

import { sha256, xxh64, type Hasher } from './hash.js';
import { InOrder, type Target } from './target.js';

/** Takes in pieces in any order. Each waits for those before it, so whoever limits the pieces under way limits memory. */
export class FileHashes {
  readonly #whole = sha256();
  readonly #tensors: { sha256: Hasher; xxh64: Hasher }[];
  readonly #turns: InOrder;
  /** The tensor each piece is of, by its offset. */
  readonly #owners = new Map<number, number>();

  constructor(tensors: readonly unknown[], signal: AbortSignal) {
    this.#tensors = tensors.map(() => ({ sha256: sha256(), xxh64: xxh64() }));
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
  result(): { sha256: string; tensors: { sha256: string; xxh64: string }[] } {
    return {
      sha256: this.#whole.hex(),
      tensors: this.#tensors.map(({ sha256, xxh64 }) => ({ sha256: sha256.hex(), xxh64: xxh64.hex() })),
    };
  }

  #hash(offset: number, bytes: Uint8Array): void {
    this.#whole.update(bytes);
    const index = this.#owners.get(offset);
    const tensor = index === undefined ? undefined : this.#tensors[index];
    this.#owners.delete(offset);
    tensor?.sha256.update(bytes);
    tensor?.xxh64.update(bytes);
  }
}
