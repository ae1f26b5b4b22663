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
  readonly input: string;
  readonly output: string;
  readonly imatrix?: string | undefined;
}

/** llama.cpp's tool. */
export function llamaCommand(recipe: Recipe, files: Files): string {
  return command('llama-quantize', recipe, files);
}

/** The same by this package. */
export function quantpressCommand(recipe: Recipe, files: Files): string {
  return command('npx quantpress quantize', recipe, files);
}

function command(program: string, recipe: Recipe, { input, output, imatrix }: Files): string {
  const words = [...(imatrix === undefined ? [] : ['--imatrix', imatrix]), ...options(recipe)];
  return [program, ...[...words, input, output, recipe.preset].map(quoted)].join(' ');
}

/** A word as a POSIX shell reads it back. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
