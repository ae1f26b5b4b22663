/**
 * Importance matrices: llama-imatrix runs a model on text and records one mean squared activation per column of each
 * tensor.
 */

import { expectText } from '../engine/check.js';
import type { ImportanceMatrix } from '../engine/model-bindings.js';
import { QuantpressError } from '../engine/error.js';
import type { FileReference } from '../io/file-identity.js';
import { hashOf, sha256 } from '../engine/hash.js';
import { readOptions } from '../engine/options.js';
import { openInput, type SourceInput } from '../io/source/open.js';
import { dispose, release } from '../engine/dispose.js';
import { readExactly } from '../io/source/source.js';
import { URL_OPTIONS, type UrlOptions } from '../io/source/url-options.js';
import { callModel, loadModelModule } from '../engine/model.js';

/** An open importance matrix, or anything that can be opened as one. */
export type ImportanceInput = Importance | SourceInput;

/** The importance of one tensor. */
export interface ImportanceEntry {
  /** The tensor's name. */
  name: string;
  /** The number of values: columns times the matrices of a stack. */
  length: number;
  /**
   * How often each matrix of a stack was used, counted in tokens or chunks as in the file; one number for a single
   * matrix.
   */
  counts: number[];
}

/** An open importance matrix. {@link openImportance} makes them. */
export class Importance {
  /** @internal */
  readonly matrix: ImportanceMatrix;
  /** The name of its source, if it has one. */
  readonly name: string | undefined;
  /** @internal SHA-256 of the file it was read from. */
  readonly hash: string;

  /** @internal The files it was read from. */
  readonly reads: readonly FileReference[];

  /** @internal */
  constructor(matrix: ImportanceMatrix, hash: string, reads: readonly FileReference[], name?: string) {
    this.matrix = matrix;
    this.hash = hash;
    this.reads = reads;
    this.name = name;
  }

  /** The tensors it contains. */
  entries(): ImportanceEntry[] {
    return callModel(() => this.matrix.entries()) as ImportanceEntry[];
  }

  /** The vector of a tensor, or the vectors of a stack of matrices one after the other. */
  get(name: string): Float32Array<ArrayBuffer> | undefined {
    expectText('name', name);
    return callModel(() => this.matrix.get(name)) as Float32Array<ArrayBuffer> | undefined;
  }

  /** Frees its memory in the engine; the matrix can no longer be used. A second call does nothing. */
  free(): void {
    release(this.matrix, callModel);
  }

  /** {@link free}, for `using`. */
  [dispose](): void {
    this.free();
  }
}

/**
 * The size limit: the engine has 4 GiB of memory for the file and its parsed contents. The largest known files have 1.5
 * GB.
 */
const MAX_IMPORTANCE_BYTES = 2 ** 31 - 1;

/**
 * Reads an importance matrix in the GGUF format or in the older one (`.dat`).
 *
 * @throws {@link QuantpressError} `MAGIC`, `MALFORMED`, `TRUNCATED`, `TOO_LARGE`, or errors of reading.
 */
export async function openImportance(input: ImportanceInput, options: UrlOptions = {}): Promise<Importance> {
  const given = readOptions('openImportance', URL_OPTIONS, options);
  if (input instanceof Importance) return input;
  await loadModelModule();
  const source = await openInput(input, given);
  try {
    const { size, name } = source;
    if (size > MAX_IMPORTANCE_BYTES) {
      const message = `the importance matrix has ${size} bytes; the limit is ${MAX_IMPORTANCE_BYTES}. Is it a model?`;
      throw new QuantpressError('TOO_LARGE', name === undefined ? message : `'${name}': ${message}`, { size });
    }
    const bytes = await readExactly(source, 0, size, given.signal);
    await source.check?.();
    return new Importance(
      callModel((engine) => engine.ImportanceMatrix.parse(bytes)),
      hashOf(sha256(), bytes),
      (await source.files?.()) ?? [],
      name,
    );
  } finally {
    if (source !== input) await source.close?.();
  }
}
