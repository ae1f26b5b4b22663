/** Converts one file with this package and with llama.cpp's own llama_model_quantize. */

import { existsSync, writeFileSync } from 'node:fs';
import {
  generateGaussianWeights,
  openImportance,
  openModel,
  type PresetName,
  presets,
  QuantpressError,
  quantizeModel,
  type QuantizeModelOptions,
  type Recipe,
} from 'quantpress';
import { folder, sha256 } from './files.js';
import type { Job } from '../../oracle/llama_quantize.js';
import { llamaQuantize } from './llama.js';
import { smol } from './smol.js';

/** Converts a file. */
export async function convert(
  input: string,
  output: string,
  recipe: Recipe,
  options?: QuantizeModelOptions,
): Promise<void> {
  const model = await openModel(input);
  try {
    await quantizeModel(model, output, recipe, options);
  } finally {
    await model.close();
  }
}

/** llama.cpp's number of a preset. */
export function ftypeOf(preset: PresetName): number {
  const found = presets().find(({ name }) => name === preset);
  if (!found) throw new Error(`no preset ${preset}`);
  return found.ftype;
}

/** SmolLM2-135M in F16, dequantized from the available Q4_1. */
export async function smolInF16(): Promise<string> {
  const quantized = await smol();
  const whole = `${quantized}.f16`;
  if (!existsSync(whole)) await convert(quantized, whole, { preset: 'F16', allowRequantize: true });
  return whole;
}

/** An importance matrix of a model, in a file and in the form of llama_model_quantize. */
export interface Weighing {
  path: string;
  imatrix: NonNullable<Job['imatrix']>;
  overrides: NonNullable<Job['overrides']>;
}

/** A random importance matrix of all layers of a model. */
export async function weighingOf(input: string, path: string): Promise<Weighing> {
  const model = await openModel(input);
  const weighed = model.tensors.filter(({ name, shape }) => name.startsWith('blk.') && shape.length > 1);
  await model.close();
  const imatrix = weighed.map(({ name, shape }, seed) => ({ name, values: importances(shape[0] ?? 0, seed) }));
  writeFileSync(path, legacyImatrix(imatrix));
  const overrides = [
    { key: 'quantize.imatrix.file', value: 'matrix.dat' },
    { key: 'quantize.imatrix.dataset', value: 'generated' },
    { key: 'quantize.imatrix.entries_count', value: imatrix.length },
    { key: 'quantize.imatrix.chunks_count', value: 1 },
  ];
  return { path, imatrix, overrides };
}

/** Both results for a file: its SHA-256, or `refused`. */
export async function byBoth(
  input: string,
  preset: PresetName,
  weighing?: Weighing,
): Promise<{ ours: string; theirs: string }> {
  const { file } = folder();
  const job = { input, output: file('theirs'), ftype: ftypeOf(preset), onlyCopy: preset === 'COPY' };
  const theirs = await orRefused(
    file('theirs'),
    llamaQuantize(weighing ? { ...job, imatrix: weighing.imatrix, overrides: weighing.overrides } : job),
  );
  const importance = weighing && (await openImportance(weighing.path));
  const recipe = { preset, ...(weighing && { imatrixFile: 'matrix.dat' }) };
  const ours = await orRefused(
    file('ours'),
    convert(input, file('ours'), recipe, importance && { imatrix: importance }),
  );
  importance?.free();
  return { ours, theirs };
}

async function orRefused(path: string, making: Promise<void>): Promise<string> {
  try {
    await making;
    return sha256(path);
  } catch (error) {
    // llama.cpp's message, or our typed error; any other error is a failure.
    const refusal = /failed to quantize: (.*)/.exec(String(error)) ?? error instanceof QuantpressError;
    if (!refusal) throw error;
    return 'refused';
  }
}

/** Realistic importances: most near their mean, a few far above it. */
function importances(columns: number, seed: number): Float32Array {
  return Float32Array.from(generateGaussianWeights(columns, 0, 1, seed), (x) => x ** 2);
}

/** An importance matrix in llama.cpp's older format, of one chunk. */
function legacyImatrix(entries: readonly { name: string; values: Float32Array }[]): Uint8Array {
  const int = (value: number) => new Uint8Array(Int32Array.of(value).buffer);
  const text = (words: string) => [int(words.length), new TextEncoder().encode(words)];
  const parts = entries.flatMap(({ name, values }) => [
    ...text(name),
    int(1),
    int(values.length),
    new Uint8Array(values.buffer),
  ]);
  return Buffer.concat([int(entries.length), ...parts, int(1), ...text('generated')]);
}
