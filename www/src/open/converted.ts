/** What a model is as GGUF: itself, or what a conversion of a safetensors model makes of it, in the precision it has. */

import { openModel, planModel, type MetadataValue, type Model, type Recipe } from 'quantpress';

/** What the engine's messages say of the option for a plain container: in the page it is a box under the message. */
const OPTION = ' (--plain, plain: true)';

/** A sentence of the engine's for the page. */
export function withoutOption(message: string): string {
  return message.replace(OPTION, ' below');
}

/** Whether a plain container can be made of a model that cannot be converted; `plan` throws if not. */
export async function canBePlain(
  model: Model,
  plan: (recipe: Recipe) => Promise<void> = async (recipe) => (await planModel(model, recipe)).free(),
): Promise<boolean> {
  if (model.container === 'gguf') return false;
  try {
    await plan({ preset: 'COPY', plain: true });
    return true;
  } catch {
    return false;
  }
}

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
