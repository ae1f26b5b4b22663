/** The mix of formats with the least error within a size: `src/recipe/best_mix/` finds it. */

import { expectArray, expectInstance, expectObject, expectText, readSize } from '../../engine/check.js';
import { QuantpressError } from '../../engine/error.js';
import { number, readNamedOptions, readOptions, unchecked, type ReaderTable } from '../../engine/options.js';
import { callModel } from '../../engine/model.js';
import type { FormatName } from '../../numerics/format.js';
import type { FormatError, ModelAnalysis } from '../analyze/analyze.js';
import { openImportance, type ImportanceInput } from '../importance.js';
import { Model } from '../model.js';
import { engineRecipe, readRecipeOptions, type PresetName, type Recipe } from '../recipe.js';

/** The limit for a mix: exactly one of the two. */
export interface MixTarget {
  /** The maximum size of the whole file in bytes; a number or a string such as `300MB`. */
  targetSize?: number | string | undefined;
  /** The maximum bits per weight: all tensors with their padding, including those that are kept, over all weights. */
  targetBpw?: number | undefined;
}

/** Options of {@link bestMix}. */
export interface BestMixOptions {
  /** The importance matrix, which should be that of the analysis; use it for the conversion too. */
  imatrix?: ImportanceInput | undefined;
  /**
   * Further options of the recipe, such as `allowRequantize` or rules for tensors whose type is fixed. The size is that
   * of a single file, even if several are written.
   */
  recipe?: Omit<Recipe, 'preset' | 'pure'> | undefined;
}

const TARGET: ReaderTable<MixTarget> = { targetSize: unchecked, targetBpw: number };

const OPTIONS: ReaderTable<BestMixOptions> = { imatrix: unchecked, recipe: unchecked };

/** The result of {@link bestMix}. */
export interface Mix {
  /** For `quantizeModel` (with the same importance matrix): one rule for each tensor whose type was chosen. */
  recipe: Recipe;
  /** The size of the file in bytes. */
  size: number;
  /**
   * The minimised quantity: the mean over the tensors of the squared relative error (`relativeRmse`, or `weightedError`
   * with an importance matrix). Each tensor is weighted by the number of its weights that one token uses (of experts,
   * only the active ones), the output by eight times that and attention values by twice that.
   */
  objective: number;
  /**
   * The weight error of the file, see `weightError`; missing if the analysis lacks a tensor that the recipe changes. It
   * is not the square root of the objective, which weights tensors differently.
   */
  weightError?: number;
  /** A lower bound: no mix of these formats within this size has a smaller objective. */
  bound: number;
  /** The tensors whose type was chosen, in the order of the output file. */
  tensors: MixedTensor[];
  /** The best preset by the same objective among those whose file is not larger than requested. */
  nearestPreset?: { name: PresetName; size: number; weightError?: number; objective: number };
}

/** The choice for one tensor. */
export interface MixedTensor {
  name: string;
  type: FormatName;
  bytes: number;
  /** Its relative error according to the analysis. */
  error: number;
}

/**
 * Chooses the format of each tensor so that the file fits and the error is smallest, using the formats and errors of an
 * analysis. Tensors that `llama-quantize` keeps are kept. The same arguments give the same mix.
 *
 * @param analysis - The result of `analyzeModel`.
 * @throws {@link QuantpressError} `RANGE` with `details.smallest` if no mix is that small, `ARGUMENT` if the analysis
 * belongs to another model, and errors of planning.
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
    const mix = callModel(() =>
      model.header.bestMix(texts, numbers, targetSize, targetBpw, whole, imatrix?.matrix),
    ) as EngineMix;
    const { preset, rules, size, objective, bound, tensors, nearest } = mix;
    return {
      recipe: { ...recipe, preset, tensorTypes: [...(recipe.tensorTypes ?? []), ...rules] },
      size,
      ...(mix.weightError !== undefined && { weightError: mix.weightError }),
      objective,
      bound,
      tensors,
      ...(nearest && {
        nearestPreset: {
          name: nearest.name,
          size: nearest.size,
          ...(nearest.weightError !== undefined && { weightError: nearest.weightError }),
          objective: nearest.objective,
        },
      }),
    };
  } finally {
    if (imatrix !== given.imatrix) imatrix?.free();
  }
}

/** The engine's result. */
interface EngineMix {
  preset: PresetName;
  rules: { pattern: string; type: FormatName; why: string }[];
  size: number;
  objective: number;
  bound: number;
  tensors: MixedTensor[];
  weightError?: number;
  nearest?: { name: PresetName; size: number; objective: number; weightError?: number };
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
