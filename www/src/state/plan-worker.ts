/**
 * Plans recipes for a model of very many tensors in a thread of its own. The answers come in pieces that the page takes in
 * without a pause that can be noticed.
 */

import { init, openModel, planModel, type FormatName, type Model, type PlannedTensor, type Recipe } from 'quantpress';
import { type PackedInput, unpacked } from '../open/input.ts';

/** What is asked of this worker. */
export interface Wanted {
  readonly id: number;
  readonly wasm: string;
  readonly input: PackedInput;
  /** Tells whether the input is the one of the question before. */
  readonly serial: number;
  readonly imatrix: File | undefined;
  readonly recipe: Recipe;
  /** Whether the types alone are wanted, as in an earlier answer of this worker that had the tensors. */
  readonly typesOnly: boolean;
}

/** What it answers: some of the tensors, several times, or an error; then how it ends. */
export type Answer = { readonly id: number } & (
  | { readonly tensors: readonly PlannedTensor[] }
  | { readonly message: string }
  | {
      readonly size: number;
      readonly missing: readonly string[];
      /** With `typesOnly`: of each tensor an index of `types`. */
      readonly codes: Uint8Array | undefined;
      readonly types: readonly FormatName[];
    }
);

/** Tensors in one message. */
const PIECE = 2000;
/** Names of tensors without importance that are told: more nobody reads. */
const NAMES = 100;

let last: { readonly serial: number; readonly model: Promise<Model> } | undefined;

self.onmessage = async ({ data }: MessageEvent<Wanted>) => {
  const { id, wasm, input, serial, imatrix, recipe, typesOnly } = data;
  try {
    await init({ wasm });
    if (last?.serial !== serial) last = { serial, model: openModel(unpacked(input)) };
    const plan = await planModel(await last.model, recipe, { imatrix });
    const { size, tensors, missingImportance } = plan;
    plan.free();
    const missing = missingImportance.slice(0, NAMES);
    if (!typesOnly) {
      for (let at = 0; at < tensors.length; at += PIECE) answer({ id, tensors: tensors.slice(at, at + PIECE) });
      answer({ id, size, missing, codes: undefined, types: [] });
      return;
    }
    const types = [...new Set(tensors.map(({ to }) => to))];
    const codeOf = new Map(types.map((type, code) => [type, code]));
    const codes = Uint8Array.from(tensors, ({ to }) => codeOf.get(to) ?? 0);
    answer({ id, size, missing, codes, types });
  } catch (error) {
    answer({ id, message: error instanceof Error ? error.message : String(error) });
  }
};

function answer(answer: Answer): void {
  postMessage(answer);
}
