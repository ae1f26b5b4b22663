/**
 * The tensors of a plan as columns: a file may have hundreds of thousands, and an object per tensor and plan would take
 * too much memory and too long to collect.
 */

import type { FormatName, PlannedTensor } from 'quantpress';

/** The properties of a planned tensor besides its name and index. Many tensors share one. */
export type Treatment = Omit<PlannedTensor, 'name' | 'sourceName' | 'sourceOffset' | 'targetOffset'>;

/** One tensor of a plan, created when it is shown. */
export interface PlannedRow extends Treatment {
  readonly name: string;
  readonly sourceName: string;
}

/** Names in the order of a plan. Data derived from names alone is cached per list, see `groupsOf` and `placesOf`. */
export interface Names {
  readonly length: number;
  /** The name after the conversion. */
  at(index: number): string;
  /** The name in the source. */
  sourceAt(index: number): string;
}

/** A list of names in memory. */
export function listedNames(tensors: readonly { readonly name: string; readonly sourceName: string }[]): Names {
  return {
    length: tensors.length,
    at: (index) => tensors[index]?.name ?? '',
    sourceAt: (index) => tensors[index]?.sourceName ?? '',
  };
}

/** The names of a model's tensors, reordered. */
export function orderedNames(tensors: readonly { readonly name: string }[], order: Uint32Array): Names {
  const at = (index: number): string => tensors[order[index] ?? 0]?.name ?? '';
  return { length: order.length, at, sourceAt: at };
}

/** The tensors of a plan as columns. */
export class PlannedTensors {
  readonly names: Names;
  /** All distinct treatments. */
  readonly treatments: readonly Treatment[];
  readonly #codes: Uint32Array;

  /** @param codes - For each tensor its index in `treatments`. */
  constructor(names: Names, treatments: readonly Treatment[], codes: Uint32Array) {
    this.names = names;
    this.treatments = treatments;
    this.#codes = codes;
  }

  /** Columns from the list of a plan in memory. */
  static of(tensors: readonly PlannedTensor[]): PlannedTensors {
    return new PlannedTensors(listedNames(tensors), tensors, Uint32Array.from(tensors.keys()));
  }

  get length(): number {
    return this.names.length;
  }

  /** The treatment of a tensor. */
  treatment(index: number): Treatment {
    return this.treatments[this.#codes[index] ?? 0] as Treatment;
  }

  /** A tensor as an object. */
  at(index: number): PlannedRow {
    return { ...this.treatment(index), name: this.names.at(index), sourceName: this.names.sourceAt(index) };
  }
}

/** The number of weights that a plan keeps, and that it changes. */
export interface Weights {
  readonly all: number;
  /** Lossless weights: copied, or widened to F32. */
  readonly exact: number;
  /** Whether some of these are widened. */
  readonly widened: boolean;
}

/** Whether a conversion is lossless: a copy, or F32, which can represent every type. */
export const isExact = (from: string, to: string): boolean => from === to || to === 'F32';

/** Sums of a plan's weights. */
export function weightsIn(tensors: readonly Pick<PlannedTensor, 'from' | 'to' | 'rows' | 'rowLength'>[]): Weights {
  let [all, exact, widened] = [0, 0, false];
  for (const { from, to, rows, rowLength } of tensors) {
    all += rows * rowLength;
    if (!isExact(from, to)) continue;
    exact += rows * rowLength;
    widened ||= from !== to;
  }
  return { all, exact, widened };
}

/** The plan of a recipe for the open model, without memory in the engine. */
export interface Planned {
  readonly size: number;
  readonly tensors: PlannedTensors;
  /** Names of tensors that lack the importance vector their type requires; truncated if there are many. */
  readonly missing: readonly string[];
}

/** A plan of which only the types are kept; `tensors` belongs to another plan. */
export interface Outline {
  readonly size: number;
  readonly missing: readonly string[];
  /** The tensors, which are the same in every unchanged preset's plan except for their types. */
  readonly tensors: PlannedTensors;
  readonly weights: Weights;
  /** The type of each tensor in this plan. */
  typeOf(index: number): FormatName;
}
