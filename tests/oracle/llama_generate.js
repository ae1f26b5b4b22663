/**
 * Runs a model in llama.cpp and goes on from a prompt, always with the likeliest token. Started by `fork`, it is sent one
 * {@link Job} and answers with the text.
 */

import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import koffi from 'koffi';

/**
 * @typedef {object} Job
 * @property {string} model
 * @property {string} prompt
 * @property {number} tokens how many to make
 */

const installed = new URL(
  '../../node_modules/@node-llama-cpp/linux-x64/bins/linux-x64/libggml-base.so',
  import.meta.url,
);
const folder = dirname(process.env.QUANTPRESS_GGML ?? fileURLToPath(installed));
koffi.load(join(folder, 'libggml-base.so'), { global: true });
const ggml = koffi.load(join(folder, 'libggml.v0.5.0.so'), { global: true });
const llama = koffi.load(join(folder, 'libllama.v0.5.0.so'), { global: true });

// Structures that are only handed on. They are larger than a register, so they pass in memory, and more room than they
// need does no harm.
koffi.struct('Settings', { content: koffi.array('uint64_t', 64) });
koffi.struct('Batch', { content: koffi.array('uint64_t', 7) });

const loadBackends = ggml.func('void ggml_backend_load_all_from_path(const char *folder)');
const modelDefaults = llama.func('Settings llama_model_default_params()');
const contextDefaults = llama.func('Settings llama_context_default_params()');
const loadModel = llama.func('void *llama_model_load_from_file(const char *path, Settings settings)');
const createContext = llama.func('void *llama_init_from_model(void *model, Settings settings)');
const setThreads = llama.func('void llama_set_n_threads(void *context, int one, int many)');
const vocabularyOf = llama.func('void *llama_model_get_vocab(void *model)');
const sizeOf = llama.func('int llama_vocab_n_tokens(void *vocabulary)');
const tokenize = llama.func(
  'int llama_tokenize(void *vocabulary, const char *text, int bytes, _Out_ int32_t *tokens, int most, bool special, bool parse)',
);
const textOf = llama.func(
  'int llama_token_to_piece(void *vocabulary, int token, _Out_ uint8_t *text, int most, int strip, bool special)',
);
const batchOf = llama.func('Batch llama_batch_get_one(int32_t *tokens, int count)');
const decode = llama.func('int llama_decode(void *context, Batch batch)');
const logitsOf = llama.func('float *llama_get_logits_ith(void *context, int index)');

/** @param {Job} job */
function generate({ model: path, prompt, tokens: count }) {
  loadBackends(folder);
  const model = loadModel(path, modelDefaults());
  if (!model) throw new Error(`llama.cpp cannot load ${path}`);
  const context = createContext(model, contextDefaults());
  // Its threads wait for each other by spinning: on a busy machine more than one are slower by far.
  setThreads(context, 1, 1);
  const vocabulary = vocabularyOf(model);
  const tokens = new Int32Array(256);
  let length = tokenize(vocabulary, prompt, Buffer.byteLength(prompt), tokens, tokens.length, true, false);
  let batch = tokens.slice(0, length);
  const pieces = [];
  for (let made = 0; made < count; made++) {
    // The batch keeps the address of the tokens, so they live in memory that does not move.
    const memory = koffi.alloc('int32_t', batch.length);
    koffi.encode(memory, koffi.array('int32_t', batch.length), batch);
    if (decode(context, batchOf(memory, batch.length)) !== 0) throw new Error('llama.cpp cannot decode');
    const logits = koffi.decode(logitsOf(context, -1), koffi.array('float', sizeOf(vocabulary)));
    const next = logits.reduce((/** @type {number} */ best, /** @type {number} */ x, /** @type {number} */ index) => {
      return x > logits[best] ? index : best;
    }, 0);
    const text = new Uint8Array(64);
    length = textOf(vocabulary, next, text, text.length, 0, false);
    pieces.push(Buffer.from(text.subarray(0, length)));
    batch = Int32Array.of(next);
  }
  return Buffer.concat(pieces).toString();
}

process.once('message', (/** @type {Job} */ job) => {
  const text = generate(job);
  // Not to return: the library's own threads would be waited for.
  process.send?.(text, () => process.exit(0));
});
