/** The tensors that an analysis is of: those of the plans, so that figures and plans speak of the same ones. */

import { QuantpressError } from '../../engine/error.js';
import { makePlan } from '../plan.js';
import type { Model, TensorInfo } from '../model.js';

/** A tensor to be analyzed. */
export interface AnalyzedTensor extends TensorInfo {
  /** Rows of one attention head whose halves the conversion interleaves; 0 or nothing where rows stay in order. */
  headRows?: number;
}

const known = new WeakMap<Model, Promise<readonly AnalyzedTensor[]>>();

/**
 * The tensors of a model by the names that plans have for them. A GGUF file's are its own. Those of a safetensors model are
 * the tensors of its conversion to GGUF, stored as they are; a model that is not converted has no plan to agree with, and
 * keeps its own names.
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
    // Which tensors there are does not depend on how text is cut, which not every tokenizer tells.
    const plan = await makePlan('analyzeModel', model, { preset: 'COPY', preTokenizer: 'default' }, {}, true);
    const { tensors } = plan;
    plan.free();
    return tensors.map(({ sourceName, from, shape, sourceOffset, sourceBytes, headRows }) => {
      return { name: sourceName, type: from, shape, offset: sourceOffset, bytes: sourceBytes, headRows };
    });
  } catch (error) {
    if (error instanceof QuantpressError) return own;
    throw error;
  }
}
