/** Makes importance matrices: runs a model on a text, as llama-imatrix does. */

import { expectInstance } from '../../engine/check.js';
import { callInference } from '../../engine/inference.js';
import { flag, readOptions, text as textReader, type ReaderTable } from '../../engine/options.js';
import { Model } from '../model.js';
import { RUN_OPTIONS, runText, textBytes, type RunOptions } from './run.js';

/** Options of {@link importanceOf}. */
export interface ImportanceOptions extends RunOptions {
  /** The name of the text, stored as `imatrix.datasets`. None by default. */
  dataset?: string | undefined;
  /** Whether to collect the inputs of `output.weight` too. No by default. */
  processOutput?: boolean | undefined;
}

const OPTIONS: ReaderTable<ImportanceOptions> = { ...RUN_OPTIONS, dataset: textReader, processOutput: flag };

/** The result of {@link importanceOf}. */
export interface ImportanceResult {
  /** The importance matrix as a GGUF file, which `openImportance` and the option `imatrix` take. */
  bytes: Uint8Array<ArrayBuffer>;
  /** The number of tokens of the text. */
  tokens: number;
  /** The number of chunks that were run. */
  chunks: number;
  /** The number of tokens of each. */
  chunkSize: number;
}

/**
 * Makes an importance matrix: runs a model on a calibration text and sums the squares of the inputs of each tensor, per
 * column. The file has the names, order, counts and metadata of llama-imatrix's; its values differ by rounding, since
 * everything is computed in single precision with the same bits on every machine.
 *
 * The weights are read tile by tile. In memory are the activations of about 2048 tokens, however large the model.
 *
 * @param model a GGUF model, best in F16, BF16 or F32
 * @param text the text, or its bytes
 * @throws {@link QuantpressError} `UNSUPPORTED` for an architecture or a tokenizer that cannot be run, `NO_DATA` for a text
 * of less than two chunks, `NON_FINITE` if activations are NaN or infinite, and errors of reading.
 * @example
 * ```ts
 * const model = await openModel('model-f16.gguf');
 * const { bytes } = await importanceOf(model, text);
 * await quantizeModel(model, 'model-q4.gguf', 'Q4_K_M', { imatrix: bytes });
 * ```
 */
export async function importanceOf(
  model: Model,
  text: string | Uint8Array,
  options: ImportanceOptions = {},
): Promise<ImportanceResult> {
  expectInstance('model', Model, model);
  const given = readOptions('importanceOf', OPTIONS, options);
  const { dataset, processOutput = false, chunkSize = 0, chunks = 0 } = given;
  return runText(
    [model],
    textBytes(text),
    given,
    ([runnable], tokens) => callInference(() => runnable!.importance(tokens, chunkSize, chunks, processOutput)),
    (run, tokens) =>
      callInference(() => ({
        bytes: run.imatrix(dataset === undefined ? [] : [dataset]) as Uint8Array<ArrayBuffer>,
        tokens,
        chunks: run.chunks,
        chunkSize: run.chunkSize,
      })),
  );
}
