/** The mix of formats with the least error within a size: `src/recipe/best_mix/` finds it. */

import { expectArray, expectInstance, expectObject, expectText, readSize } from '../../engine/check.js';
import { QuantpressError } from '../../engine/error.js';
import { number, readNamedOptions, readOptions, unchecked, type ReaderTable } from '../../engine/options.js';
import { call } from '../../engine/wasm.js';
import { weightError } from '../../numerics/distortion.js';
import type { FormatName } from '../../numerics/format.js';
import type { FormatError, ModelAnalysis } from '../analyze/analyze.js';
import { openImportance, type ImportanceInput } from '../importance.js';
import { Model } from '../model.js';
import { engineRecipe, readRecipeOptions, type PresetName, type Recipe } from '../recipe.js';

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
  nearestPreset?: { name: PresetName; size: number; weightError?: number; objective: number };
}

/** What was chosen for one tensor. */
export interface MixedTensor {
  name: string;
  type: FormatName;
  bytes: number;
  /** Its relative error, by the analysis. */
  error: number;
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
  const [texts, numbers] = columnsOf(analysis);
  const imatrix = given.imatrix === undefined ? undefined : await openImportance(given.imatrix);
  try {
    const named = imatrix?.name === undefined ? recipe : { imatrixFile: imatrix.name, ...recipe };
    const whole = engineRecipe({ ...named, preset: '' });
    const mix = call(() =>
      model.header.bestMix(texts, numbers, targetSize, targetBpw, whole, imatrix?.matrix),
    ) as EngineMix;
    const { preset, rules, size, objective, bound, tensors, nearest } = mix;
    return {
      recipe: { ...recipe, preset, tensorTypes: [...(recipe.tensorTypes ?? []), ...rules] },
      size,
      ...errorOf(mix.measured),
      objective,
      bound,
      tensors,
      ...(nearest && {
        nearestPreset: {
          name: nearest.name,
          size: nearest.size,
          ...errorOf(nearest.measured),
          objective: nearest.objective,
        },
      }),
    };
  } finally {
    if (imatrix !== given.imatrix) imatrix?.free();
  }
}

/** What the engine has found. */
interface EngineMix {
  preset: PresetName;
  rules: { pattern: string; type: FormatName; why: string }[];
  size: number;
  objective: number;
  bound: number;
  tensors: MixedTensor[];
  /** Of all tensors of the file, weights and relative errors; NaN where that is not known. */
  measured: Float64Array;
  nearest?: { name: PresetName; size: number; objective: number; measured: Float64Array };
}

/** The weight error of a file, if that of every tensor is known. */
function errorOf(measured: Float64Array): { weightError?: number } {
  const tensors = Array.from({ length: measured.length / 2 }, (_, index) => ({
    weights: measured[2 * index] ?? 0,
    relativeRmse: measured[2 * index + 1] ?? Number.NaN,
  }));
  const error = tensors.some(({ relativeRmse }) => Number.isNaN(relativeRmse)) ? undefined : weightError(tensors);
  return error === undefined ? {} : { weightError: error };
}

function checked(target: MixTarget): { targetSize: number | undefined; targetBpw: number } {
  const { targetSize, targetBpw } = readNamedOptions('bestMix', 'target', TARGET, target);
  if ((targetSize === undefined) === (targetBpw === undefined)) {
    throw new QuantpressError('ARGUMENT', 'specify exactly one of targetSize and targetBpw', {});
  }
  if (targetBpw === undefined) return { targetSize: readSize('targetSize', targetSize), targetBpw: 0 };
  if (targetBpw > 0 && targetBpw <= 64) return { targetSize: undefined, targetBpw };
  throw new QuantpressError('RANGE', `targetBpw is ${targetBpw}, and must be above 0 and at most 64`, { targetBpw });
}

/** The figures of an analysis as the engine reads them: names and numbers of tensors and of the formats they can have. */
function columnsOf({ tensors }: ModelAnalysis): [texts: string[], numbers: Float64Array] {
  const texts: string[] = [];
  const numbers: number[] = [];
  for (const tensor of tensors) {
    expectObject('a tensor of the analysis', tensor);
    expectText("a tensor's name", tensor.name);
    expectArray("a tensor's formats", tensor.formats);
    const possible = tensor.formats.filter(({ refusal }) => !refusal) as FormatError[];
    texts.push(tensor.name);
    numbers.push(possible.length);
    for (const { format, relativeRmse, weightedError } of possible) {
      texts.push(format);
      numbers.push(relativeRmse, weightedError ?? Number.NaN);
    }
  }
  return [texts, Float64Array.from(numbers)];
}
