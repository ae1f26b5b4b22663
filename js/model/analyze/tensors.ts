/** The tensors of an analysis: the same as in plans, so that figures and plans match. */

import { QuantpressError } from '../../engine/error.js';
import { makePlan } from '../plan.js';
import type { Model, TensorInfo } from '../model.js';

/** A tensor to be analyzed. */
export interface AnalyzedTensor extends TensorInfo {
  /** Rows of one attention head whose halves the conversion interleaves; 0 or absent if rows stay in order. */
  permutedHeadRows?: number;
}

const known = new WeakMap<Model, Promise<readonly AnalyzedTensor[]>>();

/**
 * The tensors of a model by their names in plans. A GGUF file has its own. A safetensors model has those of its
 * conversion to GGUF, in their stored types; a model that cannot be converted has no plan and keeps its own names.
 */
export function analyzedTensors(model: Model): Promise<readonly AnalyzedTensor[]> {
  let tensors = known.get(model);
  if (!tensors) {
    tensors = find(model);
    known.set(model, tensors);
    tensors.catch(() => known.delete(model));
  }
  return tensors;
}

async function find(model: Model): Promise<readonly AnalyzedTensor[]> {
  const own = model.tensors;
  if (model.container === 'gguf') return own;
  try {
    // The tensors do not depend on the pre-tokenizer, which cannot be determined for every tokenizer.
    const plan = await makePlan('analyzeModel', model, { preset: 'COPY', preTokenizer: 'default' }, {}, true);
    const { tensors } = plan;
    plan.free();
    return tensors.map(({ sourceName, from, shape, sourceOffset, sourceBytes, permutedHeadRows }) => {
      return { name: sourceName, type: from, shape, offset: sourceOffset, bytes: sourceBytes, permutedHeadRows };
    });
  } catch (error) {
    if (error instanceof QuantpressError) return own;
    throw error;
  }
}

/** Tensors as the engine reads them: names and types, and for each the shape after its length, offset, bytes and rows per head. */
export function columnsOf(tensors: readonly AnalyzedTensor[]): [texts: string[], numbers: Float64Array] {
  const texts: string[] = [];
  const numbers: number[] = [];
  for (const { name, type, shape, offset, bytes, permutedHeadRows = 0 } of tensors) {
    texts.push(name, type);
    numbers.push(shape.length, ...shape, offset, bytes, permutedHeadRows);
  }
  return [texts, Float64Array.from(numbers)];
}
