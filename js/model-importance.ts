/** Importance matrices: what llama-imatrix learns from running a model, one mean square per column of each tensor. */

import { expectText } from './check.js';
import type { ImportanceMatrix } from './engine.js';
import { hashOf, sha256 } from './hash.js';
import { openSource, type SourceInput } from './source-open.js';
import { dispose, release } from './dispose.js';
import { call } from './wasm.js';

/** An importance matrix that is open, or anything that can be opened as one. */
export type ImportanceInput = Importance | SourceInput;

/** What is known of one tensor's importance. */
export interface ImportanceEntry {
  /** The tensor's name. */
  name: string;
  /** Values in all: columns, times the matrices of a stack. */
  length: number;
  /** How often each matrix of a stack was used, in tokens or in chunks as the file counts; one number for a single matrix. */
  counts: number[];
}

/** An open importance matrix. {@link openImportance} makes them. */
export class Importance {
  /** @internal */
  readonly matrix: ImportanceMatrix;
  /** The name of its source, if that has one. */
  readonly name: string | undefined;
  /** @internal SHA-256 of the file it was read from. */
  readonly hash: string;

  /** @internal */
  constructor(matrix: ImportanceMatrix, hash: string, name?: string) {
    this.matrix = matrix;
    this.hash = hash;
    this.name = name;
  }

  /** The tensors it knows. */
  entries(): ImportanceEntry[] {
    return call(() => this.matrix.entries()) as ImportanceEntry[];
  }

  /** The vector of a tensor, or of a stack of matrices one after the other. */
  get(name: string): Float32Array<ArrayBuffer> | undefined {
    expectText('name', name);
    return call(() => this.matrix.get(name)) as Float32Array<ArrayBuffer> | undefined;
  }

  /** Gives the engine its memory back; the matrix cannot be used any more. A second call does nothing. */
  free(): void {
    release(this.matrix);
  }

  /** {@link free}, for `using`. */
  [dispose](): void {
    this.free();
  }
}

/**
 * Reads an importance matrix, in the GGUF form or in the older one (`.dat`).
 *
 * @throws {@link QuantpressError} `MAGIC`, `MALFORMED`, `TRUNCATED`, or why it cannot be read.
 */
export async function openImportance(input: ImportanceInput): Promise<Importance> {
  if (input instanceof Importance) return input;
  const source = await openSource(input);
  try {
    const bytes = await source.read(0, source.size);
    return new Importance(
      call((engine) => engine.ImportanceMatrix.parse(bytes)),
      hashOf(sha256(), bytes),
      source.name,
    );
  } finally {
    if (source !== input) await source.close?.();
  }
}
