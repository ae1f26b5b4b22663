/** A recipe as a command line: llama-quantize's and our own, whose options have the same names. */

import type { Recipe } from 'quantpress';

/** The options of a recipe, in the words of both tools, without the preset. */
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

/** What the commands work on. */
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

/** The type that llama.cpp's script keeps all weights of a folder in. */
export type OutType = 'f32' | 'f16' | 'bf16';

/**
 * llama.cpp's two tools, for a folder: its script makes a GGUF file of it, and `llama-quantize` quantizes that. The script
 * alone makes the presets F32, F16 and BF16.
 *
 * @param type - A type that holds the weights as they are, so that nothing is rounded twice.
 */
export function llamaFolderCommands(recipe: Recipe, files: Files, type: OutType): string {
  const alone = /^(f32|f16|bf16)$/i.test(recipe.preset) && Object.keys(recipe).length === 1;
  const outtype = alone ? recipe.preset.toLowerCase() : type;
  const between = alone ? files.output : `${files.input === '.' ? 'model' : files.input}-${outtype}.gguf`;
  const script = ['python', 'convert_hf_to_gguf.py', files.input, '--outtype', outtype, '--outfile', between];
  const convert = script.map(quoted).join(' ');
  return alone ? convert : `${convert}\n${llamaCommand(recipe, { ...files, input: between })}`;
}

/** The type of a folder's weights: their own if all have the same, else one that holds any. */
export function outTypeOf(tensors: readonly { readonly type: string; readonly shape: readonly number[] }[]): OutType {
  const types = new Set(tensors.flatMap(({ type, shape }) => (shape.length > 1 ? [type] : [])));
  const [only] = types;
  return types.size === 1 && (only === 'F16' || only === 'BF16') ? (only.toLowerCase() as OutType) : 'f32';
}

/** The same by this package. */
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

/** A word as a POSIX shell reads it back. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
