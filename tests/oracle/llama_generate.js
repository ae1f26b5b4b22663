/**
 * Runs a model in llama.cpp and continues a prompt greedily. Started by `fork`, it is sent one
 * {@link Job} and answers with the text.
 */

import {
  answer,
  batchOf,
  contextOf,
  floats,
  llama,
  openModel,
  pinned,
  sizeOf,
  tokensOf,
  vocabularyOf,
} from './llama.js';

/**
 * @typedef {object} Job
 * @property {string} model
 * @property {string} prompt
 * @property {number} tokens how many to make
 */

const textOf = llama(
  'int llama_token_to_piece(void *vocabulary, int token, _Out_ uint8_t *text, int most, int strip, bool special)',
);
const decode = llama('int llama_decode(void *context, Batch batch)');
const logitsOf = llama('float *llama_get_logits_ith(void *context, int index)');

answer((/** @type {Job} */ { model: path, prompt, tokens: count }) => {
  const model = openModel(path);
  const context = contextOf(model);
  const vocabulary = vocabularyOf(model);
  let batch = tokensOf(vocabulary, prompt);
  const pieces = [];
  for (let made = 0; made < count; made++) {
    if (decode(context, batchOf(pinned(batch), batch.length)) !== 0) throw new Error('llama.cpp cannot decode');
    const logits = floats(logitsOf(context, -1), sizeOf(vocabulary));
    const next = logits.reduce((best, x, index) => (x > (logits[best] ?? Number.NaN) ? index : best), 0);
    const text = new Uint8Array(64);
    pieces.push(Buffer.from(text.subarray(0, textOf(vocabulary, next, text, text.length, 0, false))));
    batch = Int32Array.of(next);
  }
  return Buffer.concat(pieces).toString();
});
