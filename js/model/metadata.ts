/** Metadata of a model file: small values are loaded at once, large ones are read on access. */

import type { ModelHeader } from '../engine/model-bindings.js';
import { QuantpressError } from '../engine/error.js';
import { callModel } from '../engine/model.js';
import type { FolderModel } from './folder.js';

/**
 * A metadata value, discriminated by `type`, which has the names of the GGUF specification. The element type of an array
 * is `of`, and its elements can be read in parts.
 *
 * ```ts
 * const name = model.metadata.get('general.name');
 * if (name?.type === 'string') console.log(name.value.trim());
 * const tokens = model.metadata.get('tokenizer.ggml.tokens');
 * if (tokens?.type === 'array' && tokens.of === 'string') console.log(tokens.length, tokens.head);
 * ```
 */
export type MetadataValue = MetadataScalar | MetadataArray;

/** The types whose values are JavaScript numbers. */
export type MetadataNumberType = 'uint8' | 'int8' | 'uint16' | 'int16' | 'uint32' | 'int32' | 'float32' | 'float64';

/** A single value. A long string is decoded when `value` is read. */
export type MetadataScalar =
  | { readonly type: MetadataNumberType; readonly value: number }
  /** A `bigint` only where a number would not be exact: beyond 2^53 - 1. */
  | { readonly type: 'uint64' | 'int64'; readonly value: number | bigint }
  | { readonly type: 'bool'; readonly value: boolean }
  | { readonly type: 'string'; readonly value: string };

/** An array of one type. */
export type MetadataArray =
  | MetadataArrayOf<MetadataNumberType, number>
  | MetadataArrayOf<'uint64' | 'int64', number | bigint>
  | MetadataArrayOf<'bool', boolean>
  | MetadataArrayOf<'string', string>
  | MetadataArrayOf<'array', NestedArray>;

/** The type of a metadata value, or of the elements of an array. */
export type MetadataType = MetadataArray['of'];

/** An array that is an element of another; it is read whole. */
export type NestedArray =
  | NestedArrayOf<MetadataNumberType, number>
  | NestedArrayOf<'uint64' | 'int64', number | bigint>
  | NestedArrayOf<'bool', boolean>
  | NestedArrayOf<'string', string>
  | NestedArrayOf<'array', NestedArray>;

/** One kind of {@link NestedArray}. */
export interface NestedArrayOf<Of extends string, Element> {
  readonly type: 'array';
  /** The type of the elements. */
  readonly of: Of;
  readonly value: readonly Element[];
}

/** An array of any length, which can be read whole, in parts, or by iteration. */
export interface MetadataArrayOf<Of extends string, Element> extends Iterable<Element> {
  readonly type: 'array';
  /** The type of the elements. */
  readonly of: Of;
  /** The number of elements. */
  readonly length: number;
  /** All elements. A large array (a vocabulary) is read from the file's header each time. */
  readonly value: Element[];
  /** The first 64 elements. */
  readonly head: Element[];
  /** The elements from index `from` up to but not including `to`, which must not be negative; all by default. */
  slice(from?: number, to?: number): Element[];
}

/** The number of elements that iteration reads at once. */
const STEP = 4096;

/** The number of elements of `head`. */
const HEAD = 64;

type Element = string | number | bigint | boolean | NestedArray;

/** The header of an open model; throws if it has been closed. */
type Opened = () => ModelHeader | FolderModel;

/** @internal The metadata of a model, in the order of the file. */
export function readMetadata(opened: Opened): Map<string, MetadataValue> {
  const parts = callModel(() => opened().metadata()) as unknown[];
  const metadata = new Map<string, MetadataValue>();
  for (let at = 0; at + 3 < parts.length; at += 4) {
    const [key, type, length, value] = parts.slice(at, at + 4) as [string, string, number | undefined, unknown];
    metadata.set(key, metadataValue(new Pair(opened, key, at / 4), type, length, value));
  }
  return metadata;
}

function metadataValue(pair: Pair, type: string, length: number | undefined, value: unknown): MetadataValue {
  if (length !== undefined) return new LazyArray(pair, type, length, value as Element[] | undefined) as MetadataArray;
  if (value !== undefined) return { type, value } as MetadataScalar;
  // An own property, so that it is copied and compared like others.
  const text = { type, value: '' };
  Object.defineProperty(text, 'value', { get: () => pair.text(), enumerable: true });
  return text as MetadataScalar;
}

/** A value that is still in the header. */
class Pair {
  readonly #opened: Opened;
  readonly #key: string;
  readonly #index: number;
  /** The last value, while something references it: loops read `value` repeatedly. */
  #last: WeakRef<Element[]> | undefined;

  constructor(opened: Opened, key: string, index: number) {
    this.#opened = opened;
    this.#key = key;
    this.#index = index;
  }

  text(): string {
    return callModel(() => this.#header().metadataText(this.#index)) as string;
  }

  items(from: number, to: number): Element[] {
    const items = callModel(() => this.#header().metadataItems(this.#index, from, to)) as Element[] | Float64Array;
    return items instanceof Float64Array ? Array.from(items) : items;
  }

  all(length: number): Element[] {
    const last = this.#last?.deref();
    if (last) return last;
    const all = this.items(0, length);
    this.#last = new WeakRef(all);
    return all;
  }

  #header(): ModelHeader {
    const header = this.#opened();
    if ('metadataItems' in header) return header;
    throw new QuantpressError('ARGUMENT', `metadata '${this.#key}' has no parts`, { key: this.#key });
  }
}

class LazyArray implements MetadataArrayOf<string, Element> {
  readonly type = 'array';
  readonly of: string;
  declare readonly value: Element[];
  readonly #pair: Pair;
  readonly #length: number;
  readonly #small: Element[] | undefined;

  constructor(pair: Pair, of: string, length: number, small: Element[] | undefined) {
    this.of = of;
    this.#pair = pair;
    this.#length = length;
    this.#small = small;
    Object.defineProperty(this, 'value', { get: () => small ?? pair.all(length), enumerable: true });
  }

  get length(): number {
    return this.#length;
  }

  get head(): Element[] {
    return this.slice(0, HEAD);
  }

  slice(from = 0, to = this.#length): Element[] {
    for (const [name, value] of Object.entries({ from, to })) {
      if (Number.isSafeInteger(value) && value >= 0) continue;
      const message = `${name} is ${value}, and must be a whole number from 0`;
      throw new QuantpressError('RANGE', message, { [name]: value });
    }
    return this.#small ? this.#small.slice(from, to) : this.#pair.items(from, Math.max(from, to));
  }

  *[Symbol.iterator](): Iterator<Element> {
    for (let at = 0; at < this.#length; at += STEP) yield* this.slice(at, at + STEP);
  }
}
