/** The mix of formats that loses least within a size: rate-distortion optimisation over a model's tensors. */

import type { FormatAnalysis, ModelAnalysis } from '../analyze/analyze.js';
import { costOf, lossOf, solve, type Option } from './solver.js';
import { expectArray, expectInstance, expectObject, expectText, readSize } from '../../engine/check.js';
import { QuantpressError } from '../../engine/error.js';
import { weightError } from '../../numerics/distortion.js';
import { formats, type FormatName } from '../../numerics/format.js';
import { number, readNamedOptions, readOptions, unchecked, type ReaderTable } from '../../engine/options.js';
import { openImportance, type Importance, type ImportanceInput } from '../importance.js';
import { makePlan, presets, type PlannedTensor, type Recipe } from '../plan.js';
import { readRecipeOptions } from '../recipe.js';
import { Model } from '../model.js';

/** What a mix has to fit in: exactly one of the two. */
export interface MixTarget {
  /** Bytes of the whole file, at most; a number or a text such as `300MB`. */
  targetSize?: number | string | undefined;
  /** Bits per weight, at most: the tensors with their padding, those that are kept among them, over all weights. */
  targetBpw?: number | undefined;
}

/** Options of {@link bestMix}. */
export interface BestMixOptions {
  /** The importance matrix, which should be that of the analysis; the recipe wants it too. */
  imatrix?: ImportanceInput | undefined;
  /**
   * Further options of the recipe: `allowRequantize`, rules for tensors that shall not be chosen for, whatever else. The size
   * is that of one file, also where several are written.
   */
  recipe?: Omit<Recipe, 'preset' | 'pure'> | undefined;
}

const TARGET: ReaderTable<MixTarget> = { targetSize: unchecked, targetBpw: number };

const OPTIONS: ReaderTable<BestMixOptions> = { imatrix: unchecked, recipe: unchecked };

/** What {@link bestMix} has found. */
export interface Mix {
  /** For `quantizeModel` (with the same importance matrix): one rule for each tensor that can be chosen for. */
  recipe: Recipe;
  /** Bytes of the file it makes. */
  size: number;
  /**
   * What was made least: the mean over the tensors of the squared relative error (`relativeRmse`, with an importance matrix
   * `weightedError`). A tensor counts by the number of its weights that a token meets (of experts, those in use), the output
   * eight times that and attention values twice.
   */
  objective: number;
  /**
   * The weight error of the file, see `weightError`; missing if the analysis lacks a tensor that the recipe changes. It is not
   * the square root of the objective, in which tensors have different influence.
   */
  weightError?: number;
  /** A proof of quality: no mix of these formats within this size has a smaller objective. */
  bound: number;
  /** The tensors that were chosen for, in the order of the output file. */
  tensors: MixedTensor[];
  /** Of all presets that make no larger file than was asked for, the best by the same objective. */
  nearestPreset?: { name: string; size: number; weightError?: number; objective: number };
}

/** What was chosen for one tensor. */
export interface MixedTensor {
  name: string;
  type: FormatName;
  bytes: number;
  /** Its relative error, by the analysis. */
  error: number;
}

/** A type that a tensor can have. */
interface Candidate extends Option {
  type: FormatName;
  bytes: number;
  error: number;
  /** Without importance, where {@link error} may be with it. */
  relativeRmse: number;
}

/** What was chosen for a tensor. */
interface Choice {
  planned: PlannedTensor;
  candidate: Candidate;
}

/** A tensor that can be chosen for. */
interface Item {
  planned: PlannedTensor;
  candidates: Candidate[];
}

/**
 * Chooses the format of each tensor so that the file fits and the error is least: by the errors of an analysis, over the
 * formats that were tried in it. Tensors that `llama-quantize` keeps are kept. The same arguments give the same mix.
 *
 * @param analysis - What `analyzeModel` has found.
 * @throws {@link QuantpressError} `RANGE` with `details.smallest` if no mix is that small, `ARGUMENT` for an analysis of
 * another model, and what planning throws.
 * @example
 * ```ts
 * const analysis = await analyzeModel(model);
 * const { recipe, size } = await bestMix(model, analysis, { targetSize: 300_000_000 });
 * await quantizeModel(model, 'model-300MB.gguf', recipe);
 * ```
 */
export async function bestMix(
  model: Model,
  analysis: ModelAnalysis,
  target: MixTarget,
  options: BestMixOptions = {},
): Promise<Mix> {
  expectInstance('model', Model, model);
  const given = readOptions('bestMix', OPTIONS, options);
  const recipe = given.recipe === undefined ? {} : readRecipeOptions('bestMix', given.recipe);
  expectObject('analysis', analysis);
  expectArray('analysis.tensors', analysis.tensors);
  const { targetSize, targetBpw } = checked(target);
  const imatrix = given.imatrix === undefined ? undefined : await openImportance(given.imatrix);
  try {
    return await new Search(model, imatrix, recipe).run(
      analysis,
      ({ header, weights }) => targetSize ?? header + Math.floor((targetBpw * weights) / 8),
    );
  } finally {
    if (imatrix !== given.imatrix) imatrix?.free();
  }
}

class Search {
  readonly #model: Model;
  readonly #imatrix: Importance | undefined;
  readonly #options: Omit<Recipe, 'preset'>;

  constructor(model: Model, imatrix: Importance | undefined, options: Omit<Recipe, 'preset'>) {
    this.#model = model;
    this.#imatrix = imatrix;
    this.#options = options;
  }

  async run(analysis: ModelAnalysis, budgetOf: (model: { header: number; weights: number }) => number): Promise<Mix> {
    const { items, fixed, others, header, weights } = await this.#items(analysis);
    const budget = budgetOf({ header, weights });
    const known = await this.#presets(items, budget);
    const options = items.map(({ candidates }) => candidates);
    const solution = solve(
      options,
      budget - fixed,
      known.map(({ picks }) => picks),
    );
    if (!solution) {
      const smallest = fixed + costOf(options, options.map(smallestOf));
      const message = `no mix makes a file of ${budget} bytes or less: the smallest has ${smallest}`;
      throw new QuantpressError('RANGE', message, { smallest, target: budget });
    }
    const chosen = items.flatMap(({ planned, candidates }, index) => {
      const candidate = candidates[solution.picks[index] ?? 0];
      return candidate ? [{ planned, candidate }] : [];
    });
    const recipe = recipeOf(chosen, this.#options);
    const size = fixed + solution.cost;
    await this.#verify(recipe, chosen, size);
    const errorOf = (picks: readonly number[]) => given('weightError', weightErrorOf(items, picks, others));
    const [nearest] = known.sort((a, b) => a.objective - b.objective || a.size - b.size);
    return {
      recipe,
      size,
      ...errorOf(solution.picks),
      objective: solution.loss,
      bound: Math.min(solution.bound, solution.loss),
      tensors: chosen.map(({ planned: { name }, candidate: { type, bytes, error } }) => ({ name, type, bytes, error })),
      ...(nearest && {
        nearestPreset: {
          name: nearest.name,
          size: nearest.size,
          ...errorOf(nearest.picks),
          objective: nearest.objective,
        },
      }),
    };
  }

  /** What can be chosen for, and the bytes of all that cannot. */
  async #items(analysis: ModelAnalysis) {
    const [one, other, small] = await Promise.all(['Q8_0', 'Q4_0', 'IQ3_XXS'].map((type) => this.#uniform(type)));
    const copied = await this.#plan({ preset: 'COPY' });
    const results = resultsOf(this.#model, analysis);
    const items: Item[] = [];
    const padded = (one?.tensors ?? []).reduce((sum, { paddedBytes }) => sum + paddedBytes, 0);
    let fixed = one?.size ?? 0;
    const others: Measured[] = [];
    for (const [index, planned] of (one?.tensors ?? []).entries()) {
      // What follows the preset is quantized; of rows that no block fits, and of what is kept, the type is the same.
      if (planned.to === other?.tensors[index]?.to) {
        others.push(measured(planned, results(planned)));
        continue;
      }
      const important = small?.tensors[index];
      const candidates = this.#candidates(
        planned,
        results(planned),
        important?.needsImportance === true && !important.hasImportance,
      );
      const kept = copied.tensors[index];
      if (kept && !candidates.some(({ type }) => type === kept.to)) {
        candidates.push({
          type: kept.to,
          bytes: kept.targetBytes,
          cost: kept.paddedBytes,
          loss: 0,
          error: 0,
          relativeRmse: 0,
        });
      }
      fixed -= planned.paddedBytes;
      items.push({ planned, candidates });
    }
    const tied = one?.tensors.every(({ name }) => name !== 'output.weight') ?? false;
    const influences = items.map(({ planned }) => influenceOf(planned, tied, expertsInUse(this.#model)));
    const total = influences.reduce((sum, influence) => sum + influence, 0);
    for (const [index, { candidates }] of items.entries()) {
      const share = (influences[index] ?? 0) / total;
      for (const candidate of candidates) candidate.loss = candidate.error ** 2 * share;
    }
    const weights = (one?.tensors ?? []).reduce((sum, { rows, rowLength }) => sum + rows * rowLength, 0);
    return { items, fixed, others, header: (one?.size ?? 0) - padded, weights };
  }

  #candidates(planned: PlannedTensor, results: readonly FormatAnalysis[] | undefined, unimportant: boolean) {
    if (!results) {
      const message = `the analysis has no figures for tensor '${planned.name}': analyze all of this model first`;
      throw new QuantpressError('ARGUMENT', message, { tensor: planned.name });
    }
    const { from, rows, rowLength } = planned;
    const requantized = formats().some(({ name, weights }) => name === from && weights > 1);
    const needy = new Set(presets().flatMap(({ name, needsImportance }) => (needsImportance ? [name] : [])));
    const alignment = this.#model.container === 'gguf' ? this.#model.alignment : 32;
    return results.flatMap((result): Candidate[] => {
      if (result.refusal) return [];
      const { format: type, relativeRmse, weightedError } = result;
      const error = (this.#imatrix && weightedError) ?? relativeRmse;
      if (!Number.isFinite(error) || (unimportant && needy.has(type))) return [];
      if (requantized && type !== from && !this.#options.allowRequantize) return [];
      const format = formats().find(({ name }) => name === type);
      if (!format) return [];
      const bytes = ((rows * rowLength) / format.weights) * format.bytes;
      return [{ type, bytes, cost: Math.ceil(bytes / alignment) * alignment, loss: 0, error, relativeRmse }];
    });
  }

  /** The presets that fit, and whose types are all in the analysis, as selections. */
  async #presets(items: readonly Item[], budget: number) {
    const known: { name: string; size: number; objective: number; picks: number[] }[] = [];
    for (const { name, description } of presets()) {
      if (/^another name/.test(description)) continue;
      const plan = await this.#plan({ preset: name }).catch((error: unknown) => {
        // A preset that this model cannot have.
        if (error instanceof QuantpressError) return undefined;
        throw error;
      });
      if (!plan || plan.missing || plan.size > budget) continue;
      const types = new Map(plan.tensors.map((tensor) => [tensor.name, tensor.to]));
      const picks = items.map(({ planned, candidates }) =>
        candidates.findIndex(({ type }) => type === types.get(planned.name)),
      );
      if (picks.includes(-1)) continue;
      const objective = lossOf(
        items.map(({ candidates }) => candidates),
        picks,
      );
      known.push({ name, size: plan.size, objective, picks });
    }
    return known;
  }

  #uniform(preset: string) {
    return this.#plan({ preset, pure: true });
  }

  async #plan(recipe: Recipe) {
    const { keepSplit: _, splitMaxSize: __, ...options } = this.#options;
    const plan = await makePlan('bestMix', this.#model, { ...options, ...recipe }, { imatrix: this.#imatrix }, true);
    const { size, tensors, missingImportance } = plan;
    plan.free();
    return { size, tensors, missing: missingImportance.length > 0 };
  }

  /** The planner has the last word on what a recipe makes. */
  async #verify(recipe: Recipe, chosen: readonly Choice[], size: number) {
    const { keepSplit: _, splitMaxSize: __, ...whole } = recipe;
    const plan = await this.#plan(whole);
    const types = new Map(plan.tensors.map(({ name, to }) => [name, to]));
    const wrong = chosen.find(({ planned, candidate }) => types.get(planned.name) !== candidate.type);
    if (!wrong && !plan.missing && plan.size === size) return;
    const what = wrong
      ? `tensor '${wrong.planned.name}' would be ${types.get(wrong.planned.name)}`
      : `${plan.size} bytes`;
    const message = `the mix cannot be planned: ${what}, where ${wrong?.candidate.type ?? `${size} bytes`} was chosen`;
    throw new QuantpressError('UNSUPPORTED', message, { size, planned: plan.size });
  }
}

function checked(target: MixTarget): { targetSize: number | undefined; targetBpw: number } {
  const { targetSize, targetBpw } = readNamedOptions('bestMix', 'target', TARGET, target);
  if ((targetSize === undefined) === (targetBpw === undefined)) {
    throw new QuantpressError('ARGUMENT', 'exactly one of targetSize and targetBpw has to be given', {});
  }
  if (targetBpw === undefined) return { targetSize: readSize('targetSize', targetSize), targetBpw: 0 };
  if (targetBpw > 0 && targetBpw <= 64) return { targetSize: undefined, targetBpw };
  throw new QuantpressError('RANGE', `targetBpw is ${targetBpw}, and must be above 0 and at most 64`, { targetBpw });
}

/** A tensor's number of weights and its error. */
type Measured = { readonly weights: number; readonly relativeRmse: number | undefined };

/** A tensor that nothing is chosen for, with the error of the type it gets in any case. */
function measured(
  { from, to, rows, rowLength }: PlannedTensor,
  results: readonly FormatAnalysis[] | undefined,
): Measured {
  const found = results?.find(({ format }) => format === to);
  const error = found?.refusal === undefined ? found?.relativeRmse : undefined;
  return { weights: rows * rowLength, relativeRmse: from === to || to === 'F32' ? 0 : error };
}

/** The weight error of a selection, all tensors of the file counted. */
function weightErrorOf(
  items: readonly Item[],
  picks: readonly number[],
  others: readonly Measured[],
): number | undefined {
  const chosen = items.map(({ planned: { rows, rowLength }, candidates }, index) => ({
    weights: rows * rowLength,
    relativeRmse: candidates[picks[index] ?? 0]?.relativeRmse,
  }));
  const all = [...chosen, ...others];
  return all.some(({ relativeRmse }) => relativeRmse === undefined) ? undefined : weightError(all);
}

/** An object with one member, or with none where there is no value. */
function given<K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } {
  return (value === undefined ? {} : { [key]: value }) as { [P in K]?: V };
}

/** Finds a tensor's results: by its name in plans, or by its own name in the file, which a conversion changes. */
function resultsOf(model: Model, { tensors }: ModelAnalysis) {
  const byName = new Map<string, readonly FormatAnalysis[]>();
  for (const tensor of tensors) {
    expectObject('a tensor of the analysis', tensor);
    expectText("a tensor's name", tensor.name);
    expectArray("a tensor's formats", tensor.formats);
    byName.set(tensor.name, tensor.formats);
  }
  const names = new Map(model.tensors.map(({ name, offset }) => [offset, name]));
  return ({ sourceName, sourceOffset }: PlannedTensor) =>
    byName.get(sourceName) ?? byName.get(names.get(sourceOffset) ?? '');
}

/**
 * How much more than by its weights a tensor counts. Measured on tests/fixtures/tiny-whale (benches/results/mix.md): each kind
 * alone in Q3_K, the divergence of the predictions over the squared error and the number of weights. The output's errors go
 * straight to the predictions; those of other kinds are within a factor of two of each other.
 */
const INFLUENCE: readonly (readonly [kind: RegExp, factor: number])[] = [
  [/^output\.weight$/, 8],
  [/attn_(v|kv_b)\.weight$/, 2],
];

/** What a tensor's squared error is multiplied with. Without an output of their own, models use the table of tokens. */
function influenceOf({ name, shape, rows, rowLength }: PlannedTensor, tied: boolean, expertsInUse: number): number {
  const role = tied && name === 'token_embd.weight' ? 'output.weight' : name;
  const factor = INFLUENCE.find(([kind]) => kind.test(role))?.[1] ?? 1;
  const experts = shape[2] ?? 1;
  return factor * rows * rowLength * (experts > 1 ? Math.min(1, expertsInUse / experts) : 1);
}

/** How many experts a token meets; all of them if the model does not say. */
function expertsInUse({ metadata }: Model): number {
  const architecture = metadata.get('general.architecture');
  const name = architecture && 'value' in architecture ? String(architecture.value) : '';
  const used = metadata.get(`${name}.expert_used_count`);
  return used && 'value' in used && typeof used.value === 'number' && used.value > 0 ? used.value : Infinity;
}

function smallestOf(candidates: readonly Candidate[]): number {
  return candidates.reduce((best, { cost }, index) => (cost < (candidates[best]?.cost ?? 0) ? index : best), 0);
}

/** The preset lends its number to the file: that of the type most bytes are in. Presets of floats know no rules. */
function recipeOf(chosen: readonly Choice[], options: Omit<Recipe, 'preset'>): Recipe {
  const sums = new Map<FormatName, number>();
  for (const { candidate } of chosen) sums.set(candidate.type, (sums.get(candidate.type) ?? 0) + candidate.bytes);
  const quantized = formats().flatMap(({ name, weights }) => (weights > 1 && sums.has(name) ? [name] : []));
  const most = quantized.sort((a, b) => (sums.get(b) ?? 0) - (sums.get(a) ?? 0))[0] ?? 'Q8_0';
  const rules = chosen.map(({ planned, candidate }) => ({
    pattern: exactly(planned.name),
    type: candidate.type,
    why: 'best mix',
  }));
  return { ...options, preset: most, tensorTypes: [...(options.tensorTypes ?? []), ...rules] };
}

/** A pattern in small letters, as patterns are, that only this name has: capital letters may be any. */
function exactly(name: string): string {
  return `^${name.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&').replace(/[A-Z]/g, '.')}$`;
}
