/**
 * Plans recipes in a worker for a model with many tensors or a large header. The answers are columns and a few objects,
 * so that receiving a message takes the page only some milliseconds, whatever the number of tensors.
 */

import {
  type ErrorCode,
  type FormatName,
  init,
  type InitOptions,
  type Model,
  openModel,
  type PlannedTensor,
  planModel,
  QuantpressError,
  type Recipe,
} from 'quantpress';
import { type PackedInput, unpacked } from '../open/input.ts';
import { type Treatment, type Weights, weightsIn } from './tensors.ts';

/** The request to this worker. */
export interface Wanted {
  readonly id: number;
  /** Where the engine's files are. */
  readonly files: InitOptions;
  readonly input: PackedInput;
  /** Whether the input is the same as in the previous request. */
  readonly serial: number;
  readonly imatrix: File | undefined;
  readonly recipe: Recipe;
  /**
   * The requested part: every tensor; only the types, for the tensors of an earlier answer; or the header of the file.
   */
  readonly of: 'tensors' | 'types' | 'header';
}

/** The answers: parts of the treatments or names, or an error; then the final message. */
export type Answer = { readonly id: number } & (
  | { readonly treatments: readonly Treatment[] }
  | { readonly names: readonly { readonly name: string; readonly sourceName: string }[] }
  | { readonly message: string; readonly code: ErrorCode | undefined }
  | { readonly size: number; readonly header: Uint8Array<ArrayBuffer> }
  | {
      readonly size: number;
      readonly missing: readonly string[];
      readonly weights: Weights;
      /** For each tensor an index of the treatments, or of `types` if only the types are requested. */
      readonly codes: Uint32Array<ArrayBuffer>;
      readonly types: readonly FormatName[];
      /** For each tensor its index in the model, if names do not change. */
      readonly order: Uint32Array<ArrayBuffer> | undefined;
    }
);

/** The number of objects in one message. */
const PIECE = 2000;
/** The number of names of tensors without importance in an answer: nobody reads more. */
const NAMES = 100;

let last:
  | { readonly serial: number; readonly model: Promise<Model>; indexes?: ReadonlyMap<string, number> }
  | undefined;

self.onmessage = async ({ data }: MessageEvent<Wanted>) => {
  const { id, files, input, serial, imatrix, recipe, of } = data;
  try {
    await init(files);
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

/** The indices of the tensors in the model; `undefined` if some have other names there. */
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

/** Every distinct treatment, and its index for each tensor. */
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
