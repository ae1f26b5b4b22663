/** Measures models on a text: perplexity, and divergence from an original, as llama-perplexity does. */

import { expectInstance } from '../../engine/check.js';
import { callInference } from '../../engine/inference.js';
import type { ModelRun } from '../../engine/inference-bindings.js';
import { readOptions } from '../../engine/options.js';
import { Model } from '../model.js';
import { RUN_OPTIONS, runText, textBytes, type RunOptions } from './run.js';

/** A mean and its standard error. */
export interface Estimate {
  /** The mean. */
  value: number;
  /** Its standard error. */
  uncertainty: number;
}

/** The chunks of a text that was run. */
export interface EvaluatedText {
  /** The number of tokens that were scored: those of the second half of each chunk. */
  tokens: number;
  /** The number of chunks that were run. */
  chunks: number;
  /** The number of tokens of each. */
  chunkSize: number;
}

/** The result of {@link evaluateModel}. */
export interface Evaluation extends EvaluatedText {
  /** The mean negative log likelihood of a token in nats: the logarithm of the perplexity. */
  loss: Estimate;
  /** The perplexity. */
  perplexity: Estimate;
}

/** A percentile of values of all tokens. */
export interface Percentile {
  /** The percentage of tokens with at most that value: 100 is the maximum, 50 the median, 0 the minimum. */
  percent: number;
  /** The value. */
  value: number;
}

/** The result of {@link compareModels}, with the statistics of `llama-perplexity --kl-divergence`. */
export interface ModelComparison extends EvaluatedText {
  /** The perplexity of the quantized model. */
  perplexity: Estimate;
  /** The perplexity of the original. */
  basePerplexity: Estimate;
  /** The correlation of the logarithms of both. */
  correlation: number;
  /** The logarithm of their ratio, quantized to original. */
  logRatio: Estimate;
  /** Their ratio. */
  ratio: Estimate;
  /** Their difference. */
  difference: Estimate;
  /** The mean Kullback-Leibler divergence of the predictions from those of the original, in nats. */
  divergence: Estimate;
  /** Its percentiles, from the maximum to the minimum. */
  divergencePercentiles: Percentile[];
  /** The mean difference of the probabilities of the tokens that follow, from -1 to 1. */
  probabilityDifference: Estimate;
  /** Its percentiles, from the maximum to the minimum. */
  probabilityDifferencePercentiles: Percentile[];
  /** The root mean square of that difference. */
  rmsProbabilityDifference: Estimate;
  /** The share of tokens for which both models have the same most likely token. */
  sameTop: Estimate;
}

/**
 * Measures the perplexity of a model on a text, with the definitions of llama-perplexity: chunks of `chunkSize` tokens, the
 * second half of each is scored. Everything is computed in single precision with the same bits on every machine, while
 * llama.cpp also rounds the activations of quantized models to 8 bits.
 *
 * The weights are read tile by tile. In memory are the activations of about 2048 tokens, however large the model.
 *
 * @param model a GGUF model of any types
 * @param text the text, or its bytes
 * @throws {@link QuantpressError} `UNSUPPORTED` for an architecture or a tokenizer that cannot be run, `NO_DATA` for a text
 * of less than two chunks, `NON_FINITE` if predictions are NaN or infinite, and errors of reading.
 * @example
 * ```ts
 * const { perplexity } = await evaluateModel(await openModel('model-Q4_K_M.gguf'), text);
 * console.log(`${perplexity.value} ± ${perplexity.uncertainty}`);
 * ```
 */
export async function evaluateModel(
  model: Model,
  text: string | Uint8Array,
  options: RunOptions = {},
): Promise<Evaluation> {
  expectInstance('model', Model, model);
  const given = readOptions('evaluateModel', RUN_OPTIONS, options);
  const { chunkSize = 0, chunks = 0 } = given;
  return runText(
    [model],
    textBytes(text),
    given,
    ([runnable], tokens) => callInference(() => runnable!.perplexity(tokens, chunkSize, chunks)),
    (run) => reportOf<Evaluation>(run),
  );
}

/**
 * Measures how far the predictions of a quantized model are from those of its original on a text, with the statistics of
 * `llama-perplexity --kl-divergence`. Both models run at the same time, so no file of predictions is needed, and their
 * rounding does not count.
 *
 * @param original a GGUF model, best in F16, BF16 or F32
 * @param quantized a GGUF model with the same vocabulary
 * @param text the text, or its bytes
 * @throws {@link QuantpressError} `ARGUMENT` if the vocabularies differ, and as {@link evaluateModel}.
 * @example
 * ```ts
 * const quantized = await openModel('model-Q4_K_M.gguf');
 * const { divergence, sameTop } = await compareModels(model, quantized, text);
 * console.log(divergence.value, sameTop.value);
 * ```
 */
export async function compareModels(
  original: Model,
  quantized: Model,
  text: string | Uint8Array,
  options: RunOptions = {},
): Promise<ModelComparison> {
  expectInstance('original', Model, original);
  expectInstance('quantized', Model, quantized);
  const given = readOptions('compareModels', RUN_OPTIONS, options);
  const { chunkSize = 0, chunks = 0 } = given;
  return runText(
    [original, quantized],
    textBytes(text),
    given,
    ([base, runnable], tokens) => callInference(() => runnable!.divergence(base!, tokens, chunkSize, chunks)),
    (run) => reportOf<ModelComparison>(run),
  );
}

/** The figures of a complete run. */
function reportOf<T extends EvaluatedText>(run: ModelRun): T {
  return callInference(() => ({ ...(run.report() as T), chunks: run.chunks, chunkSize: run.chunkSize }));
}
