/** The used part of @wllama/wllama: llama.cpp in WebAssembly. Its own types need types that are not available here. */
declare module '@wllama/wllama/esm/index.js' {
  interface Options {
    suppressNativeLog?: boolean;
    allowOffline?: boolean;
    logger?: Record<'debug' | 'log' | 'warn' | 'error', (...words: unknown[]) => void>;
  }
  export class Wllama {
    constructor(paths: Record<string, string>, options?: Options);
    loadModel(files: readonly Blob[], options: { n_ctx?: number; n_threads?: number; seed?: number }): Promise<void>;
    getBOS(): number;
    isTokenEOG(token: number): boolean;
    mustAddBosToken(): boolean;
    tokenize(text: string, special?: boolean): Promise<number[]>;
    detokenize(tokens: readonly number[]): Promise<Uint8Array>;
    /** Appends tokens. */
    decode(tokens: readonly number[], options: { skipLogits?: boolean }): Promise<{ nPast: number }>;
    /** Probabilities of the next token, the most likely first; of all tokens, if `topK` is -1. */
    getLogits(topK: number): Promise<{ token: number; p: number }[]>;
    kvClear(): Promise<void>;
    exit(): Promise<void>;
  }
}
