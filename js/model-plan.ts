/** What a recipe makes of a model, decided to the last byte before any weight is read. */

import { expectInstance, readSize } from './check.js';
import { tensorsOf, type Columns } from './columns.js';
import { dispose, release } from './dispose.js';
import type { ModelPlan } from './engine.js';
import { QuantpressError } from './error.js';
import type { FileReference } from './file-identity.js';
import type { FormatName } from './format.js';
import { FOUR_BIT_PRESETS, isFourBit, planFourBit, type FourBitPlan } from './four-bit-plan.js';
import { openImportance, type Importance, type ImportanceInput } from './model-importance.js';
import { Model, type SourceType } from './model.js';
import { readOptions, unchecked, type ReaderTable } from './options.js';
import { readRecipe } from './recipe-options.js';
import { call } from './wasm.js';

/** How to quantize a model: a preset and llama-quantize's options, by the same names. */
export interface Recipe {
  /**
   * A preset such as `Q4_K_M`, see {@link presets}. Of a safetensors model also `NF4` or `FP4`: a safetensors file that
   * `transformers` loads through bitsandbytes, with {@link fourBitConfig} as its `config.json`.
   */
  preset: string;
  /** One type for all tensors, without the preset's mixture. */
  pure?: boolean;
  /** `output.weight` stays as it is. */
  leaveOutputTensor?: boolean;
  /** The type of `output.weight`. */
  outputTensorType?: FormatName;
  /** The type of `token_embd.weight`. */
  tokenEmbeddingType?: FormatName;
  /**
   * Types for tensors whose names a regular expression finds; where several do, the first decides. `why` is the reason to
   * state for it in plans and reports.
   */
  tensorTypes?: readonly { pattern: string; type: FormatName; why?: string }[];
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
  /** Writes as many files as were read, each with the tensors of its own. */
  keepSplit?: boolean;
  /**
   * Writes files of so many bytes at most, as `llama-gguf-split` cuts them: headers do not count, and a tensor that is
   * larger gets a file of its own. A number of bytes, or `500MB`, `2G` (units of 1000). Browsers load shards below 2 GB.
   */
  splitMaxSize?: number | string;
  /** `NF4` and `FP4`: the scales in 8 bits, as `bnb_4bit_use_double_quant` has it. */
  doubleQuant?: boolean;
  /** `NF4` and `FP4`: modules that stay as they are, by their names or parts of these (`lm_head` does in any case). */
  excludeModules?: readonly string[];
  /** What `quantize.imatrix.file` says. Unless told, the name of the importance matrix's source. */
  imatrixFile?: string;
  /**
   * What GGUF calls the way a tokenizer cuts text (`tokenizer.ggml.pre`, such as `llama-bpe`): only for language models from
   * safetensors whose files do not tell.
   */
  preTokenizer?: string;
  /**
   * Makes a plain container of a safetensors model: every tensor under its own name, and the architecture `plain`, which no
   * program runs. Without it a model that cannot be converted is refused.
   */
  plain?: boolean;
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
  /** Its type before and after; the same where it is copied. Of the presets `NF4` and `FP4` also these two names. */
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

/** @internal Shared by the functions that plan. */
export const PLAN_OPTIONS: ReaderTable<PlanOptions> = { imatrix: unchecked };

/** One of the files that are written. */
export interface PlannedShard {
  /** Where it begins among the bytes of all, end to end, and how many it has. */
  offset: number;
  size: number;
  /** Its header, whole. */
  header: Uint8Array<ArrayBuffer>;
}

/** What a plan is told that the engine's does not say. */
interface PlanFacts {
  split?: boolean;
  plain?: boolean;
  imatrix?: Importance | undefined;
}

/** The plan of a conversion. {@link planModel} makes them. */
export class Plan {
  /** Bytes of the output: of all files together, if it is split. */
  readonly size: number;
  /** Whether the files are named as shards, be it only one. */
  readonly split: boolean;
  /** Whether the output is a plain container, as the recipe asked: no program runs it. */
  readonly plain: boolean;
  /** The tensors, in the order of the output file. */
  readonly tensors: readonly PlannedTensor[];
  /** @internal The hash of the importance matrix. */
  readonly imatrix: string | undefined;
  /** @internal The files of the importance matrix. */
  readonly reads: readonly FileReference[];
  readonly #plan: ModelPlan | FourBitPlan;

  /** @internal */
  constructor(
    plan: ModelPlan | FourBitPlan,
    tensors: readonly PlannedTensor[],
    { split = false, plain = false, imatrix }: PlanFacts,
  ) {
    this.#plan = plan;
    this.split = split;
    this.plain = plain;
    this.imatrix = imatrix?.hash;
    this.reads = imatrix?.reads ?? [];
    this.size = plan.size;
    this.tensors = tensors;
  }

  /** @internal The plan of a file of bitsandbytes' formats. */
  get fourBit(): FourBitPlan | undefined {
    return 'quantized' in this.#plan ? this.#plan : undefined;
  }

  /** Names of the tensors whose type demands an importance vector that is not there: with any, the plan cannot be run. */
  get missingImportance(): string[] {
    return this.tensors.filter((t) => t.needsImportance && !t.hasImportance && t.from !== t.to).map(({ name }) => name);
  }

  /** The files that are written: one, unless the recipe splits the output. */
  shards(): PlannedShard[] {
    const further = call(() => this.#plan.further()) as PlannedShard[];
    return [{ offset: 0, size: further[0]?.offset ?? this.size, header: this.header() }, ...further];
  }

  /** The header of the output file, of the first if there are several, whole. */
  header(): Uint8Array<ArrayBuffer> {
    return call(() => this.#plan.header()) as Uint8Array<ArrayBuffer>;
  }

  /** The importance of a tensor's columns: one vector, or one for each matrix of a stack. */
  importance(index: number): Float32Array<ArrayBuffer> | undefined {
    if (!this.tensors[index]?.hasImportance) return undefined;
    return call(() => this.#plan.importance(index)) as Float32Array<ArrayBuffer> | undefined;
  }

  /** Gives the engine its memory back; the plan cannot be used any more. A second call does nothing. */
  free(): void {
    release(this.#plan);
  }

  /** {@link free}, for `using`. */
  [dispose](): void {
    this.free();
  }
}

/**
 * What {@link quantizeModel} would do, without doing it: every tensor's type and place, and the size of the file. It plans
 * also what `quantizeModel` would refuse: quantizing again, or a type that lacks importance ({@link Plan.missingImportance}).
 *
 * @param recipe - A preset's name, or a preset and options.
 * @throws {@link QuantpressError} `UNKNOWN_NAME` for a preset or type that does not exist, `ARGUMENT` for options that contradict.
 */
export async function planModel(model: Model, recipe: Recipe | string, options: PlanOptions = {}): Promise<Plan> {
  return makePlan('planModel', model, recipe, readOptions('planModel', PLAN_OPTIONS, options), true);
}

/** @internal A plan; unless it is a dry run, one that can be carried out. */
export async function makePlan(
  owner: string,
  model: Model,
  recipe: Recipe | string,
  options: PlanOptions,
  dryRun: boolean,
): Promise<Plan> {
  expectInstance('model', Model, model);
  const given = readRecipe(owner, recipe);
  if (isFourBit(given)) {
    const plan = planFourBit(model, given, options.imatrix);
    return new Plan(plan, plan.tensors(), {});
  }
  const { splitMaxSize, doubleQuant, excludeModules, ...rest } = given;
  if (doubleQuant !== undefined || excludeModules !== undefined) {
    const message = `doubleQuant and excludeModules belong to ${FOUR_BIT_PRESETS.join(' and ')}, not to ${given.preset}`;
    throw new QuantpressError('ARGUMENT', message, { preset: given.preset });
  }
  const whole = splitMaxSize === undefined ? rest : { ...rest, splitMaxSize: readSize('splitMaxSize', splitMaxSize) };
  const facts = { split: splitMaxSize !== undefined || given.keepSplit === true, plain: given.plain === true };
  if (options.imatrix === undefined)
    return withTensors(
      call(() => model.header.plan({ ...whole, dryRun })),
      facts,
    );
  const importance = await openImportance(options.imatrix);
  const named = importance.name === undefined ? whole : { imatrixFile: importance.name, ...whole };
  try {
    const plan = call(() => model.header.plan({ ...named, dryRun }, importance.matrix));
    return await withTensors(plan, { ...facts, imatrix: importance });
  } finally {
    if (importance !== options.imatrix) importance.free();
  }
}

async function withTensors(plan: ModelPlan, facts: PlanFacts): Promise<Plan> {
  try {
    return new Plan(plan, await tensorsOf(plan, plannedOf), facts);
  } catch (error) {
    plan.free();
    throw error;
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
    headRows: columns.number(),
    sourceOffset: columns.number(),
    sourceBytes: columns.number(),
    targetOffset: columns.number(),
    targetBytes: columns.number(),
    paddedBytes: columns.number(),
    needsImportance: columns.number() !== 0,
    hasImportance: columns.number() !== 0,
  };
}

/** Every preset. */
export function presets(): Preset[] {
  return call((engine) => engine.presets()) as Preset[];
}
