/**
 * The perplexity of models in llama.cpp, as llama-perplexity computes it (chunks of 256 tokens, the second half of each
 * scored), and how far each model's predictions are from the first one's. Started by `fork`, it is sent one {@link Job} and
 * answers with a {@link Score} for each model.
 */

import koffi from 'koffi';
import { answer, contextOf, floats, llama, openModel, pinned, sizeOf, tokensOf, vocabularyOf } from './llama.js';

/**
 * @typedef {object} Job
 * @property {string[]} models
 * @property {string} text
 */

/**
 * @typedef {object} Score
 * @property {number} perplexity `exp` of the mean negative log likelihood of the tokens
 * @property {number} divergence the mean Kullback-Leibler divergence from the first model, in nats
 */

const CHUNK = 256;

const freeModel = llama('void llama_model_free(void *model)');
const freeContext = llama('void llama_free(void *context)');
const memoryOf = llama('void *llama_get_memory(void *context)');
const clearMemory = llama('void llama_memory_clear(void *memory, bool data)');
const beginning = llama('int llama_vocab_bos(void *vocabulary)');
const addsBeginning = llama('bool llama_vocab_get_add_bos(void *vocabulary)');
const decode = llama('int llama_decode(void *context, Batch batch)');
const logitsOf = llama('float *llama_get_logits(void *context)');

/** @param {string} path @param {string} text @param {(position: number, logs: Float32Array, next: number) => void} each */
function predict(path, text, each) {
  const model = openModel(path);
  const context = contextOf(model);
  const vocabulary = vocabularyOf(model);
  const words = sizeOf(vocabulary);
  const tokens = tokensOf(vocabulary, text);
  const wanted = koffi.alloc('int8_t', CHUNK);
  koffi.encode(wanted, koffi.array('int8_t', CHUNK), new Int8Array(CHUNK).fill(1));
  for (let at = 0; at + CHUNK <= tokens.length; at += CHUNK) {
    const chunk = tokens.slice(at, at + CHUNK);
    if (addsBeginning(vocabulary)) chunk[0] = beginning(vocabulary);
    clearMemory(memoryOf(context), true);
    const nothing = { embd: null, pos: null, n_seq_id: null, seq_id: null };
    const batch = { n_tokens: CHUNK, token: pinned(chunk), ...nothing, logits: wanted };
    if (decode(context, batch) !== 0) throw new Error('llama.cpp cannot decode');
    const logits = floats(logitsOf(context), words * CHUNK);
    for (let i = CHUNK / 2; i < CHUNK - 1; i++) {
      each(at + i, logarithms(logits.subarray(i * words, (i + 1) * words)), tokens[at + i + 1] ?? 0);
    }
  }
  freeContext(context);
  freeModel(model);
}

/** Log probabilities of logits. @param {Float32Array} logits */
function logarithms(logits) {
  const most = logits.reduce((/** @type {number} */ a, /** @type {number} */ b) => Math.max(a, b), -Infinity);
  const sum = Math.log(
    logits.reduce((/** @type {number} */ sum, /** @type {number} */ x) => sum + Math.exp(x - most), 0),
  );
  return logits.map((/** @type {number} */ x) => x - most - sum);
}

answer((/** @type {Job} */ { models, text }) => {
  /** @type {Map<number, Float32Array>} */
  const first = new Map();
  return models.map((path, index) => {
    let [loss, divergence, count] = [0, 0, 0];
    predict(path, text, (position, logs, next) => {
      loss -= logs[next] ?? Number.NaN;
      count += 1;
      const base = first.get(position);
      if (base)
        for (const [word, log] of logs.entries()) divergence += Math.exp(base[word] ?? 0) * ((base[word] ?? 0) - log);
      if (index === 0) first.set(position, logs.slice());
    });
    return { perplexity: Math.exp(loss / count), divergence: divergence / count };
  });
});
