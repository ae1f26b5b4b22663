/** Plans: the result of a recipe for a model, decided to the last byte before any weight is read. */

import { expectInstance } from '../engine/check.js';
import { tensorsOf, type Columns } from '../engine/columns.js';
import { dispose, release } from '../engine/dispose.js';
import type { ModelPlan } from '../engine/model-bindings.js';
import type { FileReference } from '../io/file-identity.js';
import type { FormatName } from '../numerics/format.js';
import { openImportance, type ImportanceInput } from './importance.js';
import { Model, type SourceType } from './model.js';
import { readOptions, unchecked, type ReaderTable } from '../engine/options.js';
import { engineRecipe, isBnb, readRecipe, type PresetName, type Recipe } from './recipe.js';
import { callModel } from '../engine/model.js';
import { planInSteps } from './plan-steps.js';
import { PRESETS } from './preset-table.js';
import type { PlannedShard, PlannedTensor } from './planned.js';

export type { PlannedShard, PlannedTensor } from './planned.js';
export type { BnbPreset, PresetName, Recipe } from './recipe.js';

/** A preset: a type for most tensors, and rules for the others. */
export interface Preset {
  name: PresetName;
  /** `general.file_type` of its files. */
  ftype: number;
  description: string;
  /** Whether it requires an importance matrix. */
  needsImportance: boolean;
}

/** Options of {@link planModel}. */
export interface PlanOptions {
  /**
   * The importance matrix: a file of llama-imatrix in either format, as anything that {@link openModel} accepts, or an
   * open one.
   */
  imatrix?: ImportanceInput | undefined;
}

/** @internal Shared by the functions that plan. */
export const PLAN_OPTIONS: ReaderTable<PlanOptions> = { imatrix: unchecked };

/** @internal Properties of a plan that the engine does not store. */
export interface PlanFacts {
  /** Whether the files are named as shards, even if there is only one. */
  split: boolean;
  /** Whether the output is a plain container, as the recipe requests; no program can run it. */
  plain: boolean;
  /** The hash of the importance matrix; nothing without one. */
  imatrix: string;
  /** The files of the importance matrix. */
  reads: readonly FileReference[];
}

/** The plan of a conversion, returned by {@link planModel}. */
export class Plan {
  /** The size of the output in bytes: of all files together, if it is split. */
  readonly size: number;
  /** Whether the files are named as shards, even if there is only one. */
  readonly split: boolean;
  /** Whether the output is a plain container, as the recipe requests; no program can run it. */
  readonly plain: boolean;
  /** The tensors, in the order of the output file. */
  readonly tensors: readonly PlannedTensor[];
  readonly #plan: ModelPlan;

  /** @internal */
  constructor(plan: ModelPlan, tensors: readonly PlannedTensor[], { split, plain }: PlanFacts) {
    this.#plan = plan;
    this.split = split;
    this.plain = plain;
    this.size = plan.size;
    this.tensors = tensors;
  }

  /**
   * The names of the tensors whose type requires an importance vector that is missing: if there are any, the plan
   * cannot be run.
   */
  get missingImportance(): string[] {
    return this.tensors.filter((t) => t.needsImportance && !t.hasImportance && t.from !== t.to).map(({ name }) => name);
  }

  /** The files that are written: one, unless the recipe splits the output. */
  shards(): PlannedShard[] {
    return callModel(() => this.#plan.shards()) as PlannedShard[];
  }

  /** The whole header of the output file, or of the first of several. */
  header(): Uint8Array<ArrayBuffer> {
    return callModel(() => this.#plan.header()) as Uint8Array<ArrayBuffer>;
  }

  /** The importance of a tensor's columns: one vector, or one for each matrix of a stack. */
  importance(index: number): Float32Array<ArrayBuffer> | undefined {
    if (!this.tensors[index]?.hasImportance) return undefined;
    return callModel(() => this.#plan.importance(index)) as Float32Array<ArrayBuffer> | undefined;
  }

  /** Frees its memory in the engine; the plan can no longer be used. A second call does nothing. */
  free(): void {
    release(this.#plan, callModel);
  }

  /** {@link free}, for `using`. */
  [dispose](): void {
    this.free();
  }
}

/**
 * Returns what {@link quantizeModel} would do: every tensor's type and offset, and the size of the file. It also plans
 * what `quantizeModel` would reject: requantizing, or a type that lacks importance ({@link Plan.missingImportance}).
 *
 * @param recipe - A preset's name, or a preset and options.
 * @throws {@link QuantpressError} `UNKNOWN_NAME` for a preset or type that does not exist, `ARGUMENT` for contradictory
 * options.
 */
export async function planModel(
  model: Model,
  recipe: Recipe | Recipe['preset'],
  options: PlanOptions = {},
): Promise<Plan> {
  return makePlan('planModel', model, recipe, readOptions('planModel', PLAN_OPTIONS, options), true);
}

/** @internal A plan; unless it is a dry run, it can be executed. */
export async function makePlan(
  owner: string,
  model: Model,
  recipe: Recipe | Recipe['preset'],
  options: PlanOptions,
  dryRun: boolean,
): Promise<Plan> {
  const { plan, facts } = await makeEnginePlan(owner, model, recipe, options, dryRun);
  try {
    return new Plan(plan, await tensorsOf(plan, plannedOf), facts);
  } catch (error) {
    release(plan, callModel);
    throw error;
  }
}

/** @internal The engine's plan alone: a conversion needs no objects for its tensors. */
export async function makeEnginePlan(
  owner: string,
  model: Model,
  recipe: Recipe | Recipe['preset'],
  options: PlanOptions,
  dryRun: boolean,
): Promise<{ plan: ModelPlan; facts: PlanFacts }> {
  expectInstance('model', Model, model);
  const given = readRecipe(owner, recipe);
  const whole = { ...engineRecipe(given), dryRun };
  const split = !isBnb(given) && (given.splitMaxSize !== undefined || given.keepSplit === true);
  const facts = { split, plain: given.plain === true, imatrix: '', reads: [] };
  if (options.imatrix === undefined) {
    return { plan: await planInSteps(callModel(() => model.header.planner(whole))), facts };
  }
  const importance = await openImportance(options.imatrix);
  try {
    const { matrix, name, hash, reads } = importance;
    const plan = await planInSteps(callModel(() => model.header.planner(whole, matrix, name)));
    return { plan, facts: { ...facts, imatrix: hash, reads } };
  } finally {
    if (importance !== options.imatrix) importance.free();
  }
}

function plannedOf(columns: Columns): PlannedTensor {
  const name = columns.text();
  return {
    name,
    sourceName: columns.text() || name,
    from: columns.text() as SourceType,
    to: columns.text() as FormatName,
    why: columns.text(),
    shape: columns.list(),
    rows: columns.number(),
    rowLength: columns.number(),
    permutedHeadRows: columns.number(),
    sourceOffset: columns.number(),
    sourceBytes: columns.number(),
    targetOffset: columns.number(),
    targetBytes: columns.number(),
    paddedBytes: columns.number(),
    needsImportance: columns.number() !== 0,
    hasImportance: columns.number() !== 0,
  };
}

/** Every preset. Works without `init`. */
export function presets(): Preset[] {
  return PRESETS.map((preset) => ({ ...preset }));
}
