/**
 * The tensors of a plan as columns: a file may have hundreds of thousands of them, and an object for each in every plan would
 * be more than a page can hold and collect without a pause.
 */

import type { FormatName, PlannedTensor } from 'quantpress';

/** What a plan says of a tensor beside its name and place. Many tensors share one. */
export type Treatment = Omit<PlannedTensor, 'name' | 'sourceName' | 'sourceOffset' | 'targetOffset'>;

/** One tensor of a plan. It is made when somebody looks at it. */
export interface PlannedRow extends Treatment {
  readonly name: string;
  readonly sourceName: string;
}

/** Names in the order of a plan. What follows from names alone is kept by the list, see `groupsOf` and `placesOf`. */
export interface Names {
  readonly length: number;
  /** The name after the conversion. */
  at(index: number): string;
  /** The name in the source. */
  sourceAt(index: number): string;
}

/** Names that are at hand as they are. */
export function listedNames(tensors: readonly { readonly name: string; readonly sourceName: string }[]): Names {
  return {
    length: tensors.length,
    at: (index) => tensors[index]?.name ?? '',
    sourceAt: (index) => tensors[index]?.sourceName ?? '',
  };
}

/** The names of a model's tensors in another order. */
export function orderedNames(tensors: readonly { readonly name: string }[], order: Uint32Array): Names {
  const at = (index: number): string => tensors[order[index] ?? 0]?.name ?? '';
  return { length: order.length, at, sourceAt: at };
}

/** See the top of this file. */
export class PlannedTensors {
  readonly names: Names;
  /** All treatments that occur. */
  readonly treatments: readonly Treatment[];
  readonly #codes: Uint32Array;

  /** @param codes - For each tensor an index of `treatments`. */
  constructor(names: Names, treatments: readonly Treatment[], codes: Uint32Array) {
    this.names = names;
    this.treatments = treatments;
    this.#codes = codes;
  }

  /** Those of a plan that is at hand as a list. */
  static of(tensors: readonly PlannedTensor[]): PlannedTensors {
    return new PlannedTensors(listedNames(tensors), tensors, Uint32Array.from(tensors.keys()));
  }

  get length(): number {
    return this.names.length;
  }

  /** What becomes of a tensor. */
  treatment(index: number): Treatment {
    return this.treatments[this.#codes[index] ?? 0] as Treatment;
  }

  /** A tensor as an object. */
  at(index: number): PlannedRow {
    return { ...this.treatment(index), name: this.names.at(index), sourceName: this.names.sourceAt(index) };
  }
}

/** How many weights a plan leaves as they are, and how many it changes. */
export interface Weights {
  readonly all: number;
  /** Weights that lose nothing: copied, or widened to F32. */
  readonly exact: number;
  /** Whether some of these are widened. */
  readonly widened: boolean;
}

/** Whether a type loses nothing: copied is exact, and so is F32, into which every type fits. */
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

/** What a recipe makes of the open model, without the engine's memory behind it. */
export interface Planned {
  readonly size: number;
  readonly tensors: PlannedTensors;
  /** Names of tensors that lack the importance vector their type demands; not all of very many. */
  readonly missing: readonly string[];
}

/** A plan of which only the types are kept: `tensors` is another plan's. */
export interface Outline {
  readonly size: number;
  readonly missing: readonly string[];
  /** The tensors, the same in every plan of a preset as it is, but for their type. */
  readonly tensors: PlannedTensors;
  readonly weights: Weights;
  /** The type that this plan gives each of them. */
  typeOf(index: number): FormatName;
}
