/** `quantpress diff`. */

import { readDiff } from './args.js';
import { FIGURES, figureCells, weightErrorText } from './figures.js';
import { createDisplay } from './progress.js';
import { printable, table } from './text.js';
import { escapedJson } from '../engine/escape.js';
import { valueText } from './inspect.js';
import { diffModels, type ModelDiff, type TensorDiff } from '../model/diff.js';
import { openModel, type Model } from '../model/model.js';

/** Runs the command; returns 1 if the files differ. */
export async function diff(args: string[], signal: AbortSignal): Promise<number> {
  const { a, b, json, quiet, threads, url } = readDiff(args);
  const models: Model[] = [];
  try {
    for (const file of [a, b]) models.push(await openModel(file, { ...url, signal }));
    const [first, second] = models as [Model, Model];
    const display = createDisplay(process.stderr, quiet);
    const options = { workers: threads, signal, onProgress: display.step.bind(display) };
    const found = await diffModels(first, second, options).finally(() => display.clear());
    if (json) process.stdout.write(`${escapedJson(found, jsonValue, 2)}\n`);
    else if (!quiet) process.stdout.write(`${asText(found)}\n`);
    return found.equal ? 0 : 1;
  } finally {
    for (const model of models) await model.close();
  }
}

/** Integers beyond a double's precision are written as strings. */
function jsonValue(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}

function asText({ equal, tensors, metadata, weightError }: ModelDiff): string {
  if (equal) return `no difference: ${tensors.length} tensors are bit-identical`;
  const different = tensors.filter(({ status }) => status !== 'same');
  const parts: string[] = [];
  if (metadata.length > 0) {
    const rows = metadata.map(({ key, values: [x, y] }) => [
      printable(key),
      x ? valueText(x) : '(none)',
      y ? valueText(y) : '(none)',
    ]);
    parts.push(table(['metadata', 'A', 'B'], rows), '');
  }
  if (different.length > 0) {
    parts.push(table(['tensor', 'A', 'B', ...FIGURES, 'what differs'], different.map(row)), '');
  }
  const same = tensors.length - different.length;
  parts.push(`${different.length} of ${tensors.length} tensors differ, ${same} are bit-identical`);
  if (weightError !== undefined) parts.push(`${weightErrorText(weightError)}, of B against A`);
  return parts.join('\n');
}

function row(tensor: TensorDiff): string[] {
  const { name, types, error } = tensor;
  const figures = error ? figureCells(error) : FIGURES.map(() => '');
  return [printable(name), types[0] ?? '', types[1] ?? '', ...figures, WHAT[tensor.status](tensor)];
}

const WHAT: Record<TensorDiff['status'], (tensor: TensorDiff) => string> = {
  same: () => 'nothing',
  type: () => 'the type',
  weights: () => 'weights',
  shape: ({ shapes: [a, b] }) => `${a?.join(' x ')} is not ${b?.join(' x ')}`,
  missing: ({ types: [a] }) => (a === undefined ? 'only in B' : 'only in A'),
};
