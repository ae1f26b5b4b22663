/** Searches the best mix in a worker: for a large model it takes a while, and dragging must stay smooth. */

import {
  bestMix,
  init,
  type InitOptions,
  openModel,
  type Mix,
  type Model,
  type Recipe,
  type TensorAnalysis,
} from 'quantpress';
import { type PackedInput, unpacked } from '../open/input.ts';

/** The errors of some tensors, sent before the request they belong to: all in one message would block the page. */
export interface Figures {
  readonly id: number;
  readonly tensors: readonly TensorAnalysis[];
}

/** The request to this worker. */
export interface Wanted {
  readonly id: number;
  /** Where the engine's files are. */
  readonly files: InitOptions;
  readonly input: PackedInput;
  /** Whether the input is the same as in the previous request. */
  readonly serial: number;
  readonly targetSize: number;
  readonly imatrix: File | undefined;
  /** The other options of the mix's recipe. */
  readonly recipe: Pick<Recipe, 'allowRequantize' | 'plain'>;
}

/** The answer. */
export type Found = { readonly id: number } & ({ readonly mix: Mix } | { readonly message: string });

let last: { readonly serial: number; readonly model: Promise<Model> } | undefined;

/** The errors received for each request. */
const figures = new Map<number, TensorAnalysis[]>();

self.onmessage = async ({ data }: MessageEvent<Figures | Wanted>) => {
  const { id } = data;
  const tensors = figures.get(id) ?? [];
  figures.set(id, tensors);
  if ('tensors' in data) {
    tensors.push(...data.tensors);
    return;
  }
  figures.delete(id);
  const { files, input, serial, targetSize, imatrix, recipe } = data;
  const answer = (found: Found): void => postMessage(found);
  try {
    await init(files);
    if (last?.serial !== serial) last = { serial, model: openModel(unpacked(input)) };
    const model = await last.model;
    answer({ id, mix: await bestMix(model, { tensors }, { targetSize }, { imatrix, recipe }) });
  } catch (error) {
    answer({ id, message: error instanceof Error ? error.message : String(error) });
  }
};
