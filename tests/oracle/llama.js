/** llama.cpp's own library, for the scripts next to this file. */

import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import koffi from 'koffi';

const installed = new URL(
  '../../node_modules/@node-llama-cpp/linux-x64/bins/linux-x64/libggml-base.so',
  import.meta.url,
);
const folder = dirname(process.env.QUANTPRESS_GGML ?? fileURLToPath(installed));
/** Each library needs the previous ones. */
const [, ggml, library] = ['libggml-base.so', 'libggml.v0.5.0.so', 'libllama.v0.5.0.so'].map((name) =>
  koffi.load(join(folder, name), { global: true }),
);
if (!ggml || !library) throw new Error('unreachable');

/** A function of the library, by its declaration in C. @param {string} declaration */
export const llama = (declaration) => library.func(declaration);

// Only passed on, and in memory: extra space does no harm.
koffi.struct('Settings', { content: koffi.array('uint64_t', 64) });
koffi.struct('Batch', {
  n_tokens: 'int32_t',
  token: 'void *',
  embd: 'void *',
  pos: 'void *',
  n_seq_id: 'void *',
  seq_id: 'void *',
  logits: 'void *',
});

const loadBackends = ggml.func('void ggml_backend_load_all_from_path(const char *folder)');
const modelDefaults = llama('Settings llama_model_default_params()');
const contextDefaults = llama('Settings llama_context_default_params()');
const loadModel = llama('void *llama_model_load_from_file(const char *path, Settings settings)');
const createContext = llama('void *llama_init_from_model(void *model, Settings settings)');
const setThreads = llama('void llama_set_n_threads(void *context, int one, int many)');
const tokenize = llama(
  'int llama_tokenize(void *vocabulary, const char *text, int bytes, _Out_ int32_t *tokens, int most, bool special, bool parse)',
);

export const vocabularyOf = llama('void *llama_model_get_vocab(void *model)');
export const sizeOf = llama('int llama_vocab_n_tokens(void *vocabulary)');
export const batchOf = llama('Batch llama_batch_get_one(int32_t *tokens, int count)');

/** A model from its file. @param {string} path */
export function openModel(path) {
  loadBackends(folder);
  const model = loadModel(path, modelDefaults());
  if (!model) throw new Error(`llama.cpp cannot load ${path}`);
  return model;
}

/**
 * A context with one thread: threads wait by spinning, so on a busy machine more threads are much slower. @param
 * {unknown} model
 */
export function contextOf(model) {
  const context = createContext(model, contextDefaults());
  setThreads(context, 1, 1);
  return context;
}

/** The tokens of a text, with the model's beginning and end tokens. @param {unknown} vocabulary @param {string} text */
export function tokensOf(vocabulary, text) {
  const bytes = Buffer.byteLength(text);
  const tokens = new Int32Array(bytes + 8);
  return tokens.slice(0, tokenize(vocabulary, text, bytes, tokens, tokens.length, true, false));
}

/** Tokens in memory that does not move: a batch keeps their address. @param {Int32Array} tokens */
export function pinned(tokens) {
  const memory = koffi.alloc('int32_t', tokens.length);
  koffi.encode(memory, koffi.array('int32_t', tokens.length), tokens);
  return memory;
}

/** `count` floats at an address. @param {unknown} address @param {number} count @returns {Float32Array} */
export const floats = (address, count) => koffi.decode(address, koffi.array('float', count));

/**
 * Runs the job that the parent process sends, answers, and exits without waiting for the library's threads.
 * @template Job
 * @param {(job: Job) => unknown} work
 */
export function answer(work) {
  process.once('message', (/** @type {Job} */ job) => {
    const result = work(job);
    process.send?.(result, () => process.exit(0));
  });
}
