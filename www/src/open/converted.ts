/** What a model is as GGUF: itself, or what a conversion of a safetensors model makes of it, in the precision it has. */

import { openModel, planModel, type MetadataValue, type Model } from 'quantpress';

/** A model as GGUF. */
export interface Converted {
  readonly metadata: ReadonlyMap<string, MetadataValue>;
  readonly size: number;
}

/**
 * Plans the conversion; no weights are read.
 *
 * @throws Why the model cannot be converted.
 */
export async function convertedOf(model: Model): Promise<Converted> {
  const plan = await planModel(model, 'COPY');
  const { size } = plan;
  const header = model.container === 'gguf' ? undefined : plan.header();
  plan.free();
  if (!header) return { metadata: model.metadata, size };
  // A header is all that is read of a model when it is opened.
  const read = async (offset: number, length: number) => {
    const bytes = new Uint8Array(length);
    bytes.set(header.subarray(offset, offset + length));
    return bytes;
  };
  const converted = await openModel({ size, read });
  const { metadata } = converted;
  await converted.close();
  return { metadata, size };
}
