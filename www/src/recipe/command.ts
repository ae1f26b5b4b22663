/** A recipe as a command line for llama-quantize and for quantpress, whose options have the same names. */

import type { Recipe } from 'quantpress';

/** The options of a recipe for both tools, without the preset. */
function options(recipe: Recipe): string[] {
  const { includeWeights = [], excludeWeights = [], overrideKv = [], tensorTypes = [], pruneLayers = [] } = recipe;
  return [
    ...(recipe.allowRequantize ? ['--allow-requantize'] : []),
    ...(recipe.leaveOutputTensor ? ['--leave-output-tensor'] : []),
    ...(recipe.pure ? ['--pure'] : []),
    ...(recipe.outputTensorType ? ['--output-tensor-type', recipe.outputTensorType] : []),
    ...(recipe.tokenEmbeddingType ? ['--token-embedding-type', recipe.tokenEmbeddingType] : []),
    ...tensorTypes.flatMap(({ pattern, type }) => ['--tensor-type', `${pattern}=${type}`]),
    ...includeWeights.flatMap((name) => ['--include-weights', name]),
    ...excludeWeights.flatMap((name) => ['--exclude-weights', name]),
    ...overrideKv.flatMap((kv) => ['--override-kv', kv]),
    ...(pruneLayers.length > 0 ? ['--prune-layers', pruneLayers.join(',')] : []),
    ...(recipe.keepSplit ? ['--keep-split'] : []),
  ];
}

/** The input of the commands. */
export interface Files {
  /** A file, or a folder of a Hugging Face model. */
  readonly input: string;
  readonly output: string;
  readonly imatrix?: string | undefined;
}

/** llama.cpp's tool, for a GGUF file. */
export function llamaCommand(recipe: Recipe, files: Files): string {
  return command('llama-quantize', recipe, files);
}

/** The type in which llama.cpp's script stores the weights of a folder. */
export type OutType = 'f32' | 'f16' | 'bf16';

/**
 * llama.cpp's two tools for a folder: its script writes a GGUF file, and `llama-quantize` quantizes that. The presets
 * F32, F16 and BF16 need only the script.
 *
 * @param type - A type that represents the weights exactly, so that nothing is rounded twice.
 */
export function llamaFolderCommands(recipe: Recipe, files: Files, type: OutType): string {
  const alone = /^(f32|f16|bf16)$/i.test(recipe.preset) && Object.keys(recipe).length === 1;
  const outtype = alone ? recipe.preset.toLowerCase() : type;
  const between = alone ? files.output : `${files.input === '.' ? 'model' : files.input}-${outtype}.gguf`;
  const script = ['python', 'convert_hf_to_gguf.py', files.input, '--outtype', outtype, '--outfile', between];
  const convert = script.map(quoted).join(' ');
  return alone ? convert : `${convert}\n${llamaCommand(recipe, { ...files, input: between })}`;
}

/** The type of a folder's weights: their own if all have the same, otherwise F32. */
export function outTypeOf(tensors: readonly { readonly type: string; readonly shape: readonly number[] }[]): OutType {
  const types = new Set(tensors.flatMap(({ type, shape }) => (shape.length > 1 ? [type] : [])));
  const [only] = types;
  return types.size === 1 && (only === 'F16' || only === 'BF16') ? (only.toLowerCase() as OutType) : 'f32';
}

/** The command of this package. */
export function quantpressCommand(recipe: Recipe, files: Files): string {
  // llama-quantize reads GGUF only, so it has no such option.
  return command('npx quantpress quantize', recipe, files, recipe.plain ? ['--plain'] : []);
}

function command(
  program: string,
  recipe: Recipe,
  { input, output, imatrix }: Files,
  further: readonly string[] = [],
): string {
  const words = [...(imatrix === undefined ? [] : ['--imatrix', imatrix]), ...options(recipe), ...further];
  return [program, ...[...words, input, output, recipe.preset].map(quoted)].join(' ');
}

/** A word quoted for a POSIX shell. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
