/** The original as llama.cpp runs it: its own files if it is GGUF, otherwise the model converted in memory. */

import { BlobTarget, planModel, quantizeModel, type Model } from 'quantpress';
import type { Opened } from '../state/model.ts';
import { worker } from '../state/workers.ts';
import { MOST } from './runnable.ts';

/**
 * The original's files for llama.cpp. A safetensors model is converted: to F16 if all its weights are F16, otherwise to
 * F32 if that fits.
 */
export async function originalFiles({ model, files }: Opened, signal: AbortSignal): Promise<readonly Blob[]> {
  if (files) return files;
  const options = { workerUrl: await worker, signal };
  const { blob } = await quantizeModel(model, new BlobTarget(), await preciseIn(model), options);
  return [blob];
}

async function preciseIn(model: Model): Promise<'F16' | 'F32'> {
  if (model.tensors.every(({ type, shape }) => shape.length < 2 || type === 'F16')) return 'F16';
  const plan = await planModel(model, 'F32');
  const { size } = plan;
  plan.free();
  return size <= MOST ? 'F32' : 'F16';
}
