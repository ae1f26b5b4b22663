import type { Target } from './target.js';

/** A `WritableStream` (or its like in Node, by `Writable.toWeb`), written in order. */
export class StreamTarget implements Target {
  readonly ordered = true;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;

  constructor(stream: WritableStream<Uint8Array<ArrayBuffer>>) {
    this.#writer = stream.getWriter();
  }

  async write(_offset: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    await this.#writer.ready;
    await this.#writer.write(bytes);
  }

  async close(): Promise<void> {
    await this.#writer.close();
  }

  async abort(reason?: unknown): Promise<void> {
    // A stream that has failed by itself rejects an abort and needs nothing more.
    await this.#writer.abort(reason).catch(() => {});
  }
}
