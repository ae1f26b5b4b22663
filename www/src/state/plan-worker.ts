/**
 * Plans recipes for a model of very many tensors or with a large header in a thread of its own. The answers are columns and a few objects: what the
 * page receives in one message takes it some milliseconds, whatever the number of tensors.
 */

import {
  type ErrorCode,
  type FormatName,
  init,
  type Model,
  openModel,
  type PlannedTensor,
  planModel,
  QuantpressError,
  type Recipe,
} from 'quantpress';
import { type PackedInput, unpacked } from '../open/input.ts';
import { type Treatment, type Weights, weightsIn } from './tensors.ts';

/** What is asked of this worker. */
export interface Wanted {
  readonly id: number;
  readonly wasm: string;
  readonly input: PackedInput;
  /** Tells whether the input is the one of the question before. */
  readonly serial: number;
  readonly imatrix: File | undefined;
  readonly recipe: Recipe;
  /** What is wanted: every tensor; the types alone, as in an earlier answer that had the tensors; or the header of the file. */
  readonly of: 'tensors' | 'types' | 'header';
}

/** What it answers: some of the treatments or names, several times, or an error; then how it ends. */
export type Answer = { readonly id: number } & (
  | { readonly treatments: readonly Treatment[] }
  | { readonly names: readonly { readonly name: string; readonly sourceName: string }[] }
  | { readonly message: string; readonly code: ErrorCode | undefined }
  | { readonly size: number; readonly header: Uint8Array<ArrayBuffer> }
  | {
      readonly size: number;
      readonly missing: readonly string[];
      readonly weights: Weights;
      /** Of each tensor an index of the treatments; where types alone are wanted, one of `types`. */
      readonly codes: Uint32Array<ArrayBuffer>;
      readonly types: readonly FormatName[];
      /** Of each tensor its index in the model, if names stay as they are. */
      readonly order: Uint32Array<ArrayBuffer> | undefined;
    }
);

/** Objects in one message. */
const PIECE = 2000;
/** Names of tensors without importance that are told: more nobody reads. */
const NAMES = 100;

let last:
  | { readonly serial: number; readonly model: Promise<Model>; indexes?: ReadonlyMap<string, number> }
  | undefined;

self.onmessage = async ({ data }: MessageEvent<Wanted>) => {
  const { id, wasm, input, serial, imatrix, recipe, of } = data;
  try {
    await init({ wasm });
    if (last?.serial !== serial) last = { serial, model: openModel(unpacked(input)) };
    const opened = last;
    const model = await opened.model;
    const plan = await planModel(model, recipe, { imatrix });
    const { size, tensors, missingImportance } = plan;
    const header = of === 'header' ? plan.header() : undefined;
    plan.free();
    if (header) {
      answer({ id, size, header });
      return;
    }
    const missing = missingImportance.slice(0, NAMES);
    const weights = weightsIn(tensors);
    if (of === 'types') {
      const types = [...new Set(tensors.map(({ to }) => to))];
      const codeOf = new Map(types.map((type, code) => [type, code]));
      const codes = Uint32Array.from(tensors, ({ to }) => codeOf.get(to) ?? 0);
      answer({ id, size, missing, weights, codes, types, order: undefined });
      return;
    }
    opened.indexes ??= new Map(model.tensors.map(({ name }, index) => [name, index]));
    const order = orderOf(tensors, opened.indexes);
    const { treatments, codes } = treatmentsOf(tensors);
    for (const piece of pieces(treatments)) answer({ id, treatments: piece });
    if (!order) {
      const names = tensors.map(({ name, sourceName }) => ({ name, sourceName }));
      for (const piece of pieces(names)) answer({ id, names: piece });
    }
    answer({ id, size, missing, weights, codes, types: [], order });
  } catch (error) {
    const code = error instanceof QuantpressError ? error.code : undefined;
    answer({ id, message: error instanceof Error ? error.message : String(error), code });
  }
};

function answer(answer: Answer): void {
  const columns = 'codes' in answer ? [answer.codes, answer.order] : 'header' in answer ? [answer.header] : [];
  postMessage(answer, { transfer: columns.flatMap((column) => (column ? [column.buffer] : [])) });
}

function* pieces<T>(list: readonly T[]): Generator<readonly T[]> {
  for (let at = 0; at < list.length; at += PIECE) yield list.slice(at, at + PIECE);
}

/** The places of the tensors in the model; nothing if some have other names there. */
function orderOf(
  tensors: readonly PlannedTensor[],
  indexes: ReadonlyMap<string, number>,
): Uint32Array<ArrayBuffer> | undefined {
  const order = new Uint32Array(tensors.length);
  for (const [at, { name, sourceName }] of tensors.entries()) {
    const index = name === sourceName ? indexes.get(name) : undefined;
    if (index === undefined) return undefined;
    order[at] = index;
  }
  return order;
}

/** Every treatment once, and which of them each tensor has. */
function treatmentsOf(tensors: readonly PlannedTensor[]): { treatments: Treatment[]; codes: Uint32Array<ArrayBuffer> } {
  const treatments: Treatment[] = [];
  const codeOf = new Map<string, number>();
  const codes = Uint32Array.from(
    tensors,
    ({ name: _, sourceName: __, sourceOffset: ___, targetOffset: ____, ...treatment }) => {
      const key = JSON.stringify(Object.values(treatment));
      const code = codeOf.get(key);
      if (code !== undefined) return code;
      codeOf.set(key, treatments.length);
      return treatments.push(treatment) - 1;
    },
  );
  return { treatments, codes };
}
