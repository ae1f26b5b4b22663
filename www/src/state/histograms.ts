/** The histograms of one tensor, computed when they are shown. */

import { tensorHistogram, type FormatName, type TensorHistogram } from 'quantpress';
import { opened } from './model.ts';
import { imatrix } from './recipe.ts';
import { worker } from './workers.ts';

/** A sample that is large enough for the shape, and fast. */
const SAMPLE = 1 << 16;

export async function histogramsOf(
  name: string,
  format: FormatName | undefined,
  signal: AbortSignal,
): Promise<TensorHistogram> {
  const model = opened.peek()?.model;
  if (!model) throw new Error('No model is open');
  return tensorHistogram(model, name, {
    format,
    sample: SAMPLE,
    imatrix: imatrix.peek(),
    signal,
    workerUrl: await worker,
  });
}
