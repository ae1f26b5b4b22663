/** What a recipe makes of a model, decided to the last byte before any weight is read. */

import { expectInstance, expectObject } from './check.js';
import type { ModelPlan } from './engine.js';
import { QuantpressError } from './error.js';
import type { FormatName } from './format.js';
import { openImportance, type ImportanceInput } from './model-importance.js';
import { Model, type SourceType } from './model.js';
import { call } from './wasm.js';

/** How to quantize a model: a preset and llama-quantize's options, by the same names. */
export interface Recipe {
  /** A preset such as `Q4_K_M`, see {@link presets}. */
  preset: string;
  /** One type for all tensors, without the preset's mixture. */
  pure?: boolean;
  /** `output.weight` stays as it is. */
  leaveOutputTensor?: boolean;
  /** The type of `output.weight`. */
  outputTensorType?: FormatName;
  /** The type of `token_embd.weight`. */
  tokenEmbeddingType?: FormatName;
  /** Types for tensors whose names a regular expression finds; where several do, the first decides. */
  tensorTypes?: readonly { pattern: string; type: FormatName }[];
  /** Quantizes again what is quantized already, which costs quality. */
  allowRequantize?: boolean;
  /** The importance matrix is used only for tensors whose names contain one of these. */
  includeWeights?: readonly string[];
  /** The importance matrix is not used for tensors whose names contain one of these. */
  excludeWeights?: readonly string[];
  /** Metadata to set: `KEY=TYPE:VALUE`. */
  overrideKv?: readonly string[];
  /** Layers to leave out. */
  pruneLayers?: readonly number[];
  /** Writes as many files as were read. */
  keepSplit?: boolean;
  /** What `quantize.imatrix.file` says. Unless told, the name of the importance matrix's source. */
  imatrixFile?: string;
}

/** A preset: a type for most tensors, and rules for the others. */
export interface Preset {
  name: string;
  /** `general.file_type` of the files it makes. */
  ftype: number;
  description: string;
  /** Whether it can only be made with an importance matrix. */
  needsImportance: boolean;
}

/** What becomes of one tensor. */
export interface PlannedTensor {
  name: string;
  /** Its name in the source: another where layers before it are left out. */
  sourceName: string;
  /** Its type before and after; the same where it is copied. */
  from: SourceType;
  to: FormatName;
  /** Which rule or fallback decided. */
  why: string;
  shape: number[];
  rows: number;
  rowLength: number;
  /** Rows of one attention head whose halves are interleaved on the way; 0 where rows stay in order. */
  headRows: number;
  /** Where its bytes are in the source, and how many. */
  sourceOffset: number;
  sourceBytes: number;
  /** Where they go in the output file, how many, and how many with the padding after them. */
  targetOffset: number;
  targetBytes: number;
  paddedBytes: number;
  /** Whether its new type demands an importance vector, and whether there is one. */
  needsImportance: boolean;
  hasImportance: boolean;
}

/** Options of {@link planModel}. */
export interface PlanOptions {
  /** The importance matrix: a file of llama-imatrix in either of its forms, as anything {@link openModel} takes, or opened. */
  imatrix?: ImportanceInput | undefined;
}

/** The plan of a conversion. {@link planModel} makes them. */
export class Plan {
  /** Bytes of the whole output file. */
  readonly size: number;
  /** The tensors, in the order of the output file. */
  readonly tensors: readonly PlannedTensor[];
  /** @internal The hash of the importance matrix. */
  readonly imatrix: string | undefined;
  readonly #plan: ModelPlan;

  /** @internal */
  constructor(plan: ModelPlan, imatrix?: string) {
    this.#plan = plan;
    this.imatrix = imatrix;
    this.size = plan.size;
    this.tensors = call(() => plan.tensors()) as PlannedTensor[];
  }

  /** Names of the tensors whose type demands an importance vector that is not there: with any, the plan cannot be run. */
  get missingImportance(): string[] {
    return this.tensors.filter((t) => t.needsImportance && !t.hasImportance && t.from !== t.to).map(({ name }) => name);
  }

  /** The output file's header, whole. */
  header(): Uint8Array<ArrayBuffer> {
    return call(() => this.#plan.header()) as Uint8Array<ArrayBuffer>;
  }

  /** The importance of a tensor's columns: one vector, or one for each matrix of a stack. */
  importance(index: number): Float32Array | undefined {
    return this.tensors[index]?.hasImportance ? call(() => this.#plan.importance(index)) : undefined;
  }

  /** Lets go of the engine's memory. */
  free(): void {
    call(() => this.#plan.free());
  }
}

/**
 * What {@link quantizeModel} would do, without doing it: every tensor's type and place, and the size of the file. It plans
 * also what `quantizeModel` would refuse: quantizing again, or a type that lacks importance ({@link Plan.missingImportance}).
 *
 * @param recipe - A preset's name, or a preset and options.
 * @throws {@link QuantpressError} `UNKNOWN_NAME` for a preset or type that does not exist, `ARGUMENT` for options that contradict.
 */
export function planModel(model: Model, recipe: Recipe | string, options: PlanOptions = {}): Promise<Plan> {
  expectObject('options', options);
  return makePlan(model, recipe, options, true);
}

/** @internal A plan; unless it is a dry run, one that can be carried out. */
export async function makePlan(
  model: Model,
  recipe: Recipe | string,
  options: PlanOptions,
  dryRun: boolean,
): Promise<Plan> {
  expectInstance('model', Model, model);
  const whole = typeof recipe === 'string' ? { preset: recipe } : recipe;
  expectObject('recipe', whole);
  checkNames(whole);
  if (options.imatrix === undefined) return new Plan(call(() => model.header.plan({ ...whole, dryRun })));
  const importance = await openImportance(options.imatrix);
  const named = importance.name === undefined ? whole : { imatrixFile: importance.name, ...whole };
  try {
    return new Plan(
      call(() => model.header.plan({ ...named, dryRun }, importance.matrix)),
      importance.hash,
    );
  } finally {
    if (importance !== options.imatrix) importance.free();
  }
}

/** The engine reads the options it knows; one with a slip of the pen in its name must not be passed over. */
const OPTIONS: Record<keyof Recipe, true> = {
  preset: true,
  pure: true,
  leaveOutputTensor: true,
  outputTensorType: true,
  tokenEmbeddingType: true,
  tensorTypes: true,
  allowRequantize: true,
  includeWeights: true,
  excludeWeights: true,
  overrideKv: true,
  pruneLayers: true,
  keepSplit: true,
  imatrixFile: true,
};

function checkNames(recipe: Recipe): void {
  const unknown = Object.keys(recipe).find((name) => !Object.hasOwn(OPTIONS, name));
  if (unknown === undefined) return;
  const message = `a recipe has no option '${unknown}'; it has ${Object.keys(OPTIONS).join(', ')}`;
  throw new QuantpressError('ARGUMENT', message, { option: unknown });
}

/** Every preset. */
export function presets(): Preset[] {
  return call((engine) => engine.presets()) as Preset[];
}
