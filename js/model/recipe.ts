/** Recipes: the options of a conversion, and how they are parsed. */

import { expectArray, expectText, readSize } from '../engine/check.js';
import type { FormatName } from '../numerics/format.js';
import { flag, readNamedOptions, shape, text, texts, type Reader, type ReaderTable } from '../engine/options.js';

/** The name of a preset for GGUF files, spelled as in `llama-quantize`. {@link presets} describes them. */
export type PresetName =
  | 'Q1_0'
  | 'Q2_0'
  | 'Q4_0'
  | 'Q4_1'
  | 'MXFP4_MOE'
  | 'Q5_0'
  | 'Q5_1'
  | 'IQ2_XXS'
  | 'IQ2_XS'
  | 'IQ2_S'
  | 'IQ2_M'
  | 'IQ1_S'
  | 'IQ1_M'
  | 'TQ1_0'
  | 'TQ2_0'
  | 'Q2_K'
  | 'Q2_K_S'
  | 'IQ3_XXS'
  | 'IQ3_S'
  | 'IQ3_M'
  | 'Q3_K'
  | 'IQ3_XS'
  | 'Q3_K_S'
  | 'Q3_K_M'
  | 'Q3_K_L'
  | 'IQ4_NL'
  | 'IQ4_XS'
  | 'Q4_K'
  | 'Q4_K_S'
  | 'Q4_K_M'
  | 'Q5_K'
  | 'Q5_K_S'
  | 'Q5_K_M'
  | 'Q6_K'
  | 'Q8_0'
  | 'F16'
  | 'BF16'
  | 'F32'
  | 'COPY'
  | 'MXFP4'
  | 'NVFP4';

/** The name of a preset for safetensors files that bitsandbytes loads, from safetensors models. */
export type BnbPreset = 'NF4' | 'FP4';

/** How to quantize a model: a preset and llama-quantize's options, by the same names. */
export interface Recipe {
  /**
   * A preset such as `Q4_K_M`, see {@link presets}. For a safetensors model also `NF4` or `FP4`: a safetensors file
   * that `transformers` loads through bitsandbytes, with {@link bnbConfig} as its `config.json`. At run time a name
   * is accepted in any case; the type has upper case.
   */
  preset: PresetName | BnbPreset;
  /** One type for all tensors, without the preset's mix. */
  pure?: boolean | undefined;
  /** Does not quantize `output.weight`. */
  leaveOutputTensor?: boolean | undefined;
  /** The type of `output.weight`. */
  outputTensorType?: FormatName | undefined;
  /** The type of `token_embd.weight`. */
  tokenEmbeddingType?: FormatName | undefined;
  /**
   * Types for tensors whose names match a regular expression; the first match decides. `why` is the reason shown in
   * plans and reports.
   */
  tensorTypes?: readonly { pattern: string; type: FormatName; why?: string | undefined }[] | undefined;
  /** Allows requantizing quantized tensors, which costs quality. */
  allowRequantize?: boolean | undefined;
  /** The importance matrix is used only for tensors whose names contain one of these. */
  includeWeights?: readonly string[] | undefined;
  /** The importance matrix is not used for tensors whose names contain one of these. */
  excludeWeights?: readonly string[] | undefined;
  /** Metadata to set: `KEY=TYPE:VALUE`. */
  overrideKv?: readonly string[] | undefined;
  /** Layers to remove. */
  pruneLayers?: readonly number[] | undefined;
  /** Writes as many files as were read, each with the same tensors. */
  keepSplit?: boolean | undefined;
  /**
   * Writes files of at most this many bytes, split as by `llama-gguf-split`: headers do not count, and a larger tensor
   * gets its own file. A number of bytes, or `500MB`, `2G` (units of 1000). Browsers load shards below 2 GB.
   */
  splitMaxSize?: number | string | undefined;
  /** `NF4` and `FP4`: stores the scales in 8 bits, like `bnb_4bit_use_double_quant`. */
  doubleQuant?: boolean | undefined;
  /** `NF4` and `FP4`: modules that are not quantized, by their names or parts of them (`lm_head` never is). */
  excludeModules?: readonly string[] | undefined;
  /** The value of `quantize.imatrix.file`; by default the name of the importance matrix's source. */
  imatrixFile?: string | undefined;
  /**
   * The value of `tokenizer.ggml.pre`, such as `llama-bpe`: only for language models from safetensors whose files do
   * not determine it.
   */
  preTokenizer?: string | undefined;
  /**
   * Writes a plain container from a safetensors model: every tensor under its own name, and the architecture `plain`,
   * which no program runs. Otherwise a model that cannot be converted is rejected.
   */
  plain?: boolean | undefined;
}

type Rule = NonNullable<Recipe['tensorTypes']>[number];

const RULE: ReaderTable<Rule> = { pattern: text, type: text, why: text };

const rules: Reader<readonly Rule[]> = (name, value) => {
  expectArray(name, value);
  return value.map((item, index) => {
    const rule = readNamedOptions('a rule of tensorTypes', `${name}[${index}]`, RULE, item);
    expectText(`${name}[${index}].pattern`, rule.pattern);
    expectText(`${name}[${index}].type`, rule.type);
    return rule;
  });
};

const RECIPE: ReaderTable<Recipe> = {
  preset: text,
  pure: flag,
  leaveOutputTensor: flag,
  outputTensorType: text,
  tokenEmbeddingType: text,
  tensorTypes: rules,
  allowRequantize: flag,
  includeWeights: texts,
  excludeWeights: texts,
  overrideKv: texts,
  pruneLayers: shape,
  keepSplit: flag,
  splitMaxSize: (name, value) => {
    readSize(name, value);
    return value as number | string;
  },
  doubleQuant: flag,
  excludeModules: texts,
  imatrixFile: text,
  preTokenizer: text,
  plain: flag,
};

/** Parses a recipe or a preset's name and checks all options. `owner` is the function it is for. */
export function readRecipe(owner: string, recipe: unknown): Recipe {
  // The engine rejects unknown names, and accepts known ones in any case.
  if (typeof recipe === 'string') return { preset: recipe as Recipe['preset'] };
  const given = readNamedOptions<Recipe>(`the recipe of ${owner}`, 'recipe', RECIPE, recipe);
  expectText('recipe.preset', given.preset);
  return given;
}

/** Parses the options of a recipe whose preset is chosen later. */
export function readRecipeOptions(owner: string, recipe: unknown): Omit<Recipe, 'preset'> {
  const { preset: _, pure: __, ...table } = RECIPE;
  return readNamedOptions<Omit<Recipe, 'preset' | 'pure'>>(`the recipe of ${owner}`, 'recipe', table, recipe);
}

/** The presets whose output is a safetensors file for `transformers`. */
export const BNB_PRESETS: readonly BnbPreset[] = ['NF4', 'FP4'];

/** Whether a recipe has one of bitsandbytes' formats. */
export function isBnb({ preset }: Recipe): boolean {
  return typeof preset === 'string' && BNB_PRESETS.some((name) => name === preset.toUpperCase());
}

/** A recipe in the form of the engine: sizes are numbers. */
export function engineRecipe({ splitMaxSize, ...rest }: Omit<Recipe, 'preset'> & { preset: string }): object {
  return splitMaxSize === undefined ? rest : { ...rest, splitMaxSize: readSize('splitMaxSize', splitMaxSize) };
}
