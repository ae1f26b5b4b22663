/** Whether a model can be run in a browser. */

import type { MetadataValue } from 'quantpress';

/** The largest file that llama.cpp can load in a browser. */
export const MOST = 2 ** 31 - 1;

/** The properties that decide whether a model can be run here. */
export interface Runnable {
  readonly obstacle?: string | undefined;
  /** Whether it is written as a plain container. */
  readonly plain?: boolean | undefined;
  readonly asGguf?: { readonly metadata: ReadonlyMap<string, MetadataValue>; readonly size: number } | undefined;
  readonly from: string;
  readonly files?: readonly { readonly size: number }[] | undefined;
}

/** Why a model cannot be run here, as a sentence. */
export function whyNotRun({ obstacle, plain, asGguf, from, files }: Runnable): string | undefined {
  if (obstacle !== undefined) return 'This model cannot be converted, so there is nothing to run.';
  if (plain) return 'No program can run a plain container, so there are no outputs to compare.';
  if (!asGguf) return 'This model has too many tensors to be run in a browser.';
  const { metadata, size } = asGguf;
  if (!metadata.has('tokenizer.ggml.model')) {
    return 'This is not a language model, or its tokenizer is missing, so there are no outputs to compare.';
  }
  if (!writesText(metadata))
    return 'This model makes embeddings or scores, not text, so there are no outputs to compare.';
  if (from === 'network') return 'Running a model needs the whole file. Download it and open it from disk.';
  const largest = files ? Math.max(...files.map((file) => file.size)) : size;
  return largest > MOST ? 'The original is larger than the 2 GB that can be run in a browser.' : undefined;
}

/** Whether a model generates text token by token: encoders and models with pooled outputs do not. */
function writesText(metadata: ReadonlyMap<string, MetadataValue>): boolean {
  const plain = (key: string) => {
    const found = metadata.get(key);
    return found && 'value' in found ? found.value : undefined;
  };
  const architecture = String(plain('general.architecture'));
  return (
    plain(`${architecture}.attention.causal`) !== false && !(Number(plain(`${architecture}.pooling_type`) ?? 0) > 0)
  );
}
