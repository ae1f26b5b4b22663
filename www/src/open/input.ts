/** The input that a model is opened from, in a form that can be posted to a worker: a posted file may lose its path. */

import type { ModelInput } from 'quantpress';
import { withPath } from './files.ts';

/** See {@link packed}. */
export type PackedInput =
  | { readonly input: ModelInput }
  | { readonly files: readonly File[]; readonly paths: string[] };

/** For `postMessage`. */
export function packed(input: ModelInput): PackedInput {
  if (!Array.isArray(input) || !input.every((part) => part instanceof File)) return { input };
  return { files: input, paths: input.map(({ webkitRelativePath }) => webkitRelativePath) };
}

/** Unpacks an input. */
export function unpacked(packed: PackedInput): ModelInput {
  if ('input' in packed) return packed.input;
  return packed.files.map((file, index) => withPath(file, packed.paths[index] ?? ''));
}
