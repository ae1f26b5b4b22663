/** `quantpress inspect`. */

import { shown } from '../io/url.js';
import { readInspect } from './args.js';
import { writeOut } from './output.js';
import { bytes, jsonPieces, printable, tableLines } from './text.js';
import type { MetadataScalar, MetadataValue } from '../model/metadata.js';
import { openModel, type Model, type TensorInfo } from '../model/model.js';
import { weightsIn } from '../model/shape.js';
import { bitsPerWeight } from '../numerics/format.js';
import { unreadable } from '../model/verify.js';

/** Runs the command. */
export async function inspect(args: string[], signal: AbortSignal): Promise<void> {
  const { file, json, all, url } = readInspect(args);
  const model = await openModel(file, { ...url, signal });
  try {
    await writeOut(json ? asJson(file, model) : asText(file, model, all), signal);
  } finally {
    await model.close();
  }
}

/** Tensors, weights and bytes of one type. */
interface Total {
  type: string;
  tensors: number;
  weights: number;
  bytes: number;
}

function totalsOf({ tensors }: Model): Total[] {
  const totals = new Map<string, Total>();
  for (const { type, shape, bytes } of tensors) {
    const total = totals.get(type) ?? { type, tensors: 0, weights: 0, bytes: 0 };
    total.tensors += 1;
    total.weights += weightsIn(shape);
    total.bytes += bytes;
    totals.set(type, total);
  }
  return [...totals.values()].sort((a, b) => b.bytes - a.bytes);
}

function* asText(file: string, model: Model, all: boolean): Generator<string> {
  const { container, metadata, tensors, source, version, alignment } = model;
  const kind = container === 'gguf' ? `GGUF version ${version}` : 'safetensors';
  const totals = totalsOf(model);
  const weights = totals.reduce((sum, total) => sum + total.weights, 0);
  const data = totals.reduce((sum, total) => sum + total.bytes, 0);
  const perWeight = weights > 0 ? `, ${bitsPerWeight(data, weights).toFixed(3)} bits per weight` : '';
  const size = `${bytes(source.size)} (${source.size} bytes)`;
  yield `${printable(shown(file))}: ${kind}, ${size}${container === 'gguf' ? `, alignment ${alignment}` : ''}\n`;
  yield `${tensors.length} tensors, ${weights} weights${perWeight}\n\n`;
  const pairs = [...metadata].map(([key, value]) => [printable(key), typeText(value), all ? '' : valueText(value)]);
  if (all) yield* wholeValues(metadata);
  else yield* tableLines(['metadata', 'type', 'value'], pairs);
  yield '\n';
  const rows = { length: tensors.length, at: (index: number) => tensorRow(tensors[index]) };
  yield* tableLines(['tensor', 'type', 'shape', '>bytes', '>offset'], rows);
  yield '\n';
  const sums = totals.map((t) => [t.type, String(t.tensors), String(t.weights), String(t.bytes), bitsOf(t)]);
  yield* tableLines(['in all', '>tensors', '>weights', '>bytes', '>bits per weight'], sums);
  for (const { tensor = '', message } of unreadable(model)) {
    yield `\ntensor '${printable(tensor)}': ${printable(message)}\n`;
  }
}

function tensorRow(tensor: TensorInfo | undefined): string[] {
  if (!tensor) return [];
  const { name, type, shape, bytes, offset } = tensor;
  return [printable(name), type, shape.join(' x '), String(bytes), String(offset)];
}

/** Every value in full: a string on one line, an array with one element per line. */
function* wholeValues(metadata: Model['metadata']): Generator<string> {
  for (const [key, value] of metadata) {
    yield `  ${printable(key)} (${typeText(value)})`;
    if (value.type !== 'array') {
      yield ` ${scalarText(value, Infinity)}\n`;
      continue;
    }
    yield ` ${value.length} elements\n`;
    for (const element of value) yield `    ${elementText(element, Infinity)}\n`;
  }
}

/** The type of a value in a word: `uint32`, and of an array `string[]`. */
function typeText(value: MetadataValue): string {
  return value.type === 'array' ? `${value.of}[]` : value.type;
}

function bitsOf({ bytes, weights }: Total): string {
  return bitsPerWeight(bytes, weights).toFixed(4);
}

/** The number of elements shown of a short array, and of a longer one. */
const [SHORT, BEGUN] = [64, 4];

/** A value on one line; a long array by its first elements and its length. */
export function valueText(value: MetadataValue): string {
  if (value.type !== 'array') return scalarText(value, 100);
  const { length } = value;
  if (length <= SHORT) return `[${value.value.map((element) => elementText(element, 40)).join(', ')}]`;
  const begun = value.slice(0, BEGUN).map((element: unknown) => elementText(element, 40));
  return `[${begun.join(', ')}, ...] (${length})`;
}

function scalarText({ type, value }: MetadataScalar, longest: number): string {
  return printable(String(type === 'float32' ? shortest(value) : value), longest);
}

/** The shortest number that is the same f32: 0.1, not 0.10000000149011612. */
function shortest(value: number): number {
  const digits = [6, 7, 8].find((count) => Math.fround(Number(value.toPrecision(count))) === value);
  return digits === undefined ? value : Number(value.toPrecision(digits));
}

function elementText(element: unknown, longest: number): string {
  if (typeof element !== 'object') {
    return printable(typeof element === 'string' ? JSON.stringify(element) : String(element), longest);
  }
  return printable(JSON.stringify(element, jsonSafe), longest);
}

function* asJson(file: string, model: Model): Generator<string> {
  const { container, version, alignment, headerBytes, metadata, tensors, source } = model;
  const content = {
    file: shown(file),
    size: source.size,
    container,
    version,
    alignment,
    headerBytes,
    metadata,
    tensors,
  };
  yield* jsonPieces({ ...content, totals: totalsOf(model), problems: unreadable(model) });
  yield '\n';
}

/** JSON has no 64-bit integers: those beyond a double's precision are written as strings. */
function jsonSafe(_key: string, value: unknown): unknown {
  if (typeof value !== 'bigint') return value;
  return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
}
