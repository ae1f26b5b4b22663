/** Looks for the best mix in a thread of its own: of a large model it takes a while, and a drag shall stay smooth. */

import { bestMix, init, openModel, type Mix, type Model, type ModelAnalysis, type Recipe } from 'quantpress';
import { type PackedInput, unpacked } from '../open/input.ts';

/** What is asked of this worker. */
export interface Wanted {
  readonly id: number;
  /** Where the engine is: a script from a `blob:` has no place to look beside. */
  readonly wasm: string;
  readonly input: PackedInput;
  /** Tells whether the input is the one of the question before. */
  readonly serial: number;
  readonly analysis: ModelAnalysis;
  readonly targetSize: number;
  readonly imatrix: File | undefined;
  /** What the mix's recipe has beside its rules. */
  readonly recipe: Pick<Recipe, 'allowRequantize' | 'plain'>;
}

/** What it answers. */
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
