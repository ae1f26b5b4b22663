/** Searches the best mix in a worker: for a large model it takes a while, and dragging must stay smooth. */

import { bestMix, init, openModel, type Mix, type Model, type ModelAnalysis, type Recipe } from 'quantpress';
import { type PackedInput, unpacked } from '../open/input.ts';

/** The request to this worker. */
export interface Wanted {
  readonly id: number;
  /** The URL of the engine: a script from a `blob:` has no folder. */
  readonly wasm: string;
  readonly input: PackedInput;
  /** Whether the input is the same as in the previous request. */
  readonly serial: number;
  readonly analysis: ModelAnalysis;
  readonly targetSize: number;
  readonly imatrix: File | undefined;
  /** The other options of the mix's recipe. */
  readonly recipe: Pick<Recipe, 'allowRequantize' | 'plain'>;
}

/** The answer. */
export type Found = { readonly id: number } & ({ readonly mix: Mix } | { readonly message: string });

let last: { readonly serial: number; readonly model: Promise<Model> } | undefined;

self.onmessage = async ({ data }: MessageEvent<Wanted>) => {
  const { id, wasm, input, serial, analysis, targetSize, imatrix, recipe } = data;
  const answer = (found: Found): void => postMessage(found);
  try {
    await init({ wasm });
    if (last?.serial !== serial) last = { serial, model: openModel(unpacked(input)) };
    const model = await last.model;
    answer({ id, mix: await bestMix(model, analysis, { targetSize }, { imatrix, recipe }) });
  } catch (error) {
    answer({ id, message: error instanceof Error ? error.message : String(error) });
  }
};
