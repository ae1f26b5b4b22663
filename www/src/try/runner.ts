/** A language model that runs in this tab: llama.cpp in WebAssembly, in its own worker. */

import { Wllama } from '@wllama/wllama/esm/index.js';
import wasmUrl from '@wllama/wllama/esm/single-thread/wllama.wasm?url';

/** The context length. */
export const CONTEXT = 256;

const silent = { debug() {}, log() {}, warn() {}, error() {} };

export class Runner {
  readonly #wllama = new Wllama(
    { 'single-thread/wllama.wasm': new URL(wasmUrl, location.href).href },
    { suppressNativeLog: true, allowOffline: true, logger: silent },
  );

  /** Loads a model from its files, which are read in place. */
  static async load(files: readonly Blob[]): Promise<Runner> {
    const runner = new Runner();
    try {
      await runner.#wllama.loadModel(files, { n_ctx: CONTEXT, n_threads: 1, seed: 1 });
    } catch (error) {
      await runner.close();
      throw error;
    }
    return runner;
  }

  /** The tokens of a text, after the beginning-of-text token if the model uses one. */
  async tokens(text: string): Promise<number[]> {
    const found = await this.#wllama.tokenize(text, false);
    return this.begins.concat(found);
  }

  /** The beginning-of-text token, if any. */
  get begins(): number[] {
    return this.#wllama.mustAddBosToken() ? [this.#wllama.getBOS()] : [];
  }

  /** Clears the context. */
  async clear(): Promise<void> {
    await this.#wllama.kvClear();
  }

  /** Reads tokens and returns the probability of every next token. */
  async read(tokens: readonly number[]): Promise<Map<number, number>> {
    await this.#wllama.decode(tokens, {});
    const all = await this.#wllama.getLogits(-1);
    return new Map(all.map(({ token, p }) => [token, p]));
  }

  /** Reads tokens, and returns the most likely next token; `undefined` at the end of the text. */
  async likeliest(tokens: readonly number[]): Promise<number | undefined> {
    await this.#wllama.decode(tokens, {});
    const [first] = await this.#wllama.getLogits(1);
    return first && !this.#wllama.isTokenEOG(first.token) ? first.token : undefined;
  }

  /** The UTF-8 bytes of tokens, which may end within a character. */
  async bytes(tokens: readonly number[]): Promise<Uint8Array> {
    return this.#wllama.detokenize(tokens);
  }

  async close(): Promise<void> {
    await this.#wllama.exit().catch(() => {});
  }
}
