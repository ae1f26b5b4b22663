/** `quantpress inspect`. */

import { shown } from './address.js';
import { readInspect } from './cli-args.js';
import { bytes, printable, table } from './cli-text.js';
import { escapedJson } from './escape.js';
import { openModel, type MetadataValue, type Model } from './model.js';

/** Runs the command. */
export async function inspect(args: string[], signal: AbortSignal): Promise<void> {
  const { file, json } = readInspect(args);
  const model = await openModel(file, { signal });
  try {
    process.stdout.write(json ? `${asJson(file, model)}\n` : `${asText(file, model)}\n`);
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
    total.weights += shape.reduce((product, n) => product * n, 1);
    total.bytes += bytes;
    totals.set(type, total);
  }
  return [...totals.values()].sort((a, b) => b.bytes - a.bytes);
}

function asText(file: string, model: Model): string {
  const { container, metadata, tensors, source, version, alignment } = model;
  const kind = container === 'gguf' ? `GGUF version ${version}` : 'safetensors';
  const totals = totalsOf(model);
  const weights = totals.reduce((sum, total) => sum + total.weights, 0);
  const data = totals.reduce((sum, total) => sum + total.bytes, 0);
  const perWeight = weights > 0 ? `, ${((8 * data) / weights).toFixed(3)} bits per weight` : '';
  const keys = [...metadata].map(([key, value]) => [printable(key), value.type, valueText(value)]);
  const names = tensors.map((t) => [printable(t.name), t.type, t.shape.join(' x '), String(t.bytes), String(t.offset)]);
  const sums = totals.map((t) => [t.type, String(t.tensors), String(t.weights), String(t.bytes), bitsOf(t)]);
  return [
    `${printable(shown(file))}: ${kind}, ${bytes(source.size)} (${source.size} bytes)${container === 'gguf' ? `, alignment ${alignment}` : ''}`,
    `${tensors.length} tensors, ${weights} weights${perWeight}`,
    '',
    table(['metadata', 'type', 'value'], keys),
    '',
    table(['tensor', 'type', 'shape', '>bytes', '>offset'], names),
    '',
    table(['in all', '>tensors', '>weights', '>bytes', '>bits per weight'], sums),
  ].join('\n');
}

function bitsOf({ bytes, weights }: Total): string {
  return ((8 * bytes) / weights).toFixed(4);
}

/** A value in one line. Of a long array the beginning and the length. */
export function valueText(value: MetadataValue): string {
  if ('head' in value) return `[${value.head.slice(0, 4).map(elementText).join(', ')}, ...] (${value.length})`;
  if (Array.isArray(value.value)) return `[${value.value.map(elementText).join(', ')}]`;
  const single = value.type === 'f32' && typeof value.value === 'number' ? shortest(value.value) : value.value;
  return printable(String(single), 100);
}

/** The shortest number that is the same f32: 0.1, not 0.10000000149011612. */
function shortest(value: number): number {
  const digits = [6, 7, 8].find((count) => Math.fround(Number(value.toPrecision(count))) === value);
  return digits === undefined ? value : Number(value.toPrecision(digits));
}

function elementText(element: unknown): string {
  return printable(typeof element === 'string' ? JSON.stringify(element) : String(element), 40);
}

function asJson(file: string, model: Model): string {
  const { container, version, alignment, headerBytes, tensors, source } = model;
  const metadata = Object.fromEntries(model.metadata);
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
  return escapedJson({ ...content, totals: totalsOf(model) }, jsonSafe, 2);
}

/** JSON has no 64-bit integers: those beyond a double's are written as text. */
function jsonSafe(_key: string, value: unknown): unknown {
  if (typeof value !== 'bigint') return value;
  return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
}
