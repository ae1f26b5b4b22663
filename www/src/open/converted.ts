/** A model as GGUF: itself, or the conversion of a safetensors model in its own precision. */

import { openModel, planModel, type MetadataValue, type Model, type Recipe } from 'quantpress';

/** The part of the engine's messages about the option for a plain container, which is a checkbox in the page. */
const OPTION = ' (--plain, plain: true)';

/** An engine's message for the page. */
export function withoutOption(message: string): string {
  return message.replace(OPTION, ' below');
}

/** A model as GGUF. */
export interface Converted {
  readonly metadata: ReadonlyMap<string, MetadataValue>;
  readonly size: number;
}

/** The size and the header of the output of a recipe. */
export type Header = (recipe: Recipe) => Promise<{ readonly size: number; readonly header: Uint8Array }>;

/** Plans in this thread. */
const onTheSpot =
  (model: Model): Header =>
  async (recipe) => {
    const plan = await planModel(model, recipe);
    const made = { size: plan.size, header: model.container === 'gguf' ? new Uint8Array(0) : plan.header() };
    plan.free();
    return made;
  };

/**
 * Plans the conversion; no weights are read.
 *
 * @throws Why the model cannot be converted.
 */
export async function convertedOf(model: Model, plan = onTheSpot(model)): Promise<Converted> {
  const { size, header } = await plan({ preset: 'COPY' });
  if (model.container === 'gguf') return { metadata: model.metadata, size };
  // Opening a model reads only its header.
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

/** Whether a plain container can be made of a model that cannot be converted. */
export async function canBePlain(model: Model, plan = onTheSpot(model)): Promise<boolean> {
  if (model.container === 'gguf') return false;
  try {
    await plan({ preset: 'COPY', plain: true });
    return true;
  } catch {
    return false;
  }
}
