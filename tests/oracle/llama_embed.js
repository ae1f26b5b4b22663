/**
 * Embeds texts in llama.cpp with the model's pooling. Started by `fork`, it is sent one {@link Job} and answers with
 * the vectors.
 */

import { answer, batchOf, contextOf, floats, llama, openModel, pinned, tokensOf, vocabularyOf } from './llama.js';

/**
 * @typedef {object} Job
 * @property {string} model
 * @property {string[]} texts
 */

const setEmbeddings = llama('void llama_set_embeddings(void *context, bool value)');
const widthOf = llama('int llama_model_n_embd(void *model)');
const encode = llama('int llama_encode(void *context, Batch batch)');
const embeddingOf = llama('float *llama_get_embeddings_seq(void *context, int sequence)');

answer((/** @type {Job} */ { model: path, texts }) => {
  const model = openModel(path);
  return texts.map((text) => {
    const context = contextOf(model);
    setEmbeddings(context, true);
    const tokens = tokensOf(vocabularyOf(model), text);
    if (encode(context, batchOf(pinned(tokens), tokens.length)) !== 0) throw new Error('llama.cpp cannot encode');
    return [...floats(embeddingOf(context, 0), widthOf(model))];
  });
});
