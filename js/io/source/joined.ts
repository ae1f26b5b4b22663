import type { FileReference } from '../file-identity.js';
import { checkRange, readInto, type Source, type SourceDescription } from './source.js';

/** A part, and its offset in the joined bytes. */
interface Part {
  source: Source;
  start: number;
}

/** Several sources, concatenated: the files of a model in several files. */
export class JoinedSource implements Source {
  readonly size: number;
  readonly name: string | undefined;
  readonly #parts: readonly Part[];

  /** {@link close} closes the parts. */
  constructor(sources: readonly Source[]) {
    let size = 0;
    this.#parts = sources.map((source) => {
      const start = size;
      size += source.size;
      return { source, start };
    });
    this.size = size;
    this.name = sources[0]?.name;
  }

  async read(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    checkRange(this, offset, length);
    const bytes = new Uint8Array(length);
    await this.readInto(bytes, offset, signal);
    return bytes;
  }

  async readInto(into: Uint8Array<ArrayBuffer>, offset: number, signal?: AbortSignal): Promise<void> {
    checkRange(this, offset, into.length);
    const end = offset + into.length;
    const touched = this.#parts.filter(({ source, start }) => start < end && start + source.size > offset);
    await Promise.all(
      touched.map(({ source, start }) => {
        const [from, to] = [Math.max(offset, start), Math.min(end, start + source.size)];
        return readInto(source, into.subarray(from - offset, to - offset), from - start, signal);
      }),
    );
  }

  describe(): SourceDescription | undefined {
    const parts = this.#parts.map(({ source }) => source.describe?.()).filter((part) => part !== undefined);
    return parts.length === this.#parts.length ? { kind: 'joined', parts } : undefined;
  }

  async check(): Promise<void> {
    await Promise.all(this.#parts.map(({ source }) => source.check?.()));
  }

  /** All parts must have a fingerprint, and their order is part of the result. */
  async fingerprint(): Promise<string | undefined> {
    const prints = await Promise.all(this.#parts.map(({ source }) => source.fingerprint?.()));
    if (prints.includes(undefined)) return undefined;
    return `joined ${JSON.stringify(this.#parts.map(({ source }, index) => [source.size, prints[index]]))}`;
  }

  async files(): Promise<readonly FileReference[]> {
    const files = await Promise.all(this.#parts.map(({ source }) => source.files?.()));
    return files.flatMap((part) => part ?? []);
  }

  async close(): Promise<void> {
    await Promise.all(this.#parts.map(({ source }) => source.close?.()));
  }
}
