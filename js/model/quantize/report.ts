/** The report of a conversion, read from the engine. */

import type { ModelReport } from '../../engine/model-bindings.js';
import { LazyTensors, tensorsOf, type Columns } from '../../engine/columns.js';
import { callModel } from '../../engine/model.js';
import { shardSuffix } from '../../io/file-names.js';
import { figuresOf, type ErrorFigures } from '../../numerics/distortion.js';
import type { FormatName } from '../../numerics/format.js';
import type { SourceType } from '../model.js';

/** The result of {@link quantizeModel}. */
export interface Report {
  /** The size of the file in bytes, before and after. */
  sourceSize: number;
  size: number;
  /** The duration in seconds. */
  seconds: number;
  /** The bytes of the source that an earlier run had already done. */
  bytesResumed: number;
  /** SHA-256 of the whole file, in hexadecimal; with `hashes`. Several files are hashed as one concatenation. */
  sha256?: string;
  /** The file is a plain container, as the recipe requests; no program can run it. */
  plain?: true;
  /** The files, if the recipe splits the output. */
  shards?: ReportedShard[];
  /** The weight error of the file, see `weightError`; with `report`. */
  weightError?: number;
  /** The tensors, in the order of the output file. */
  tensors: ReportedTensor[];
}

/** One of several files. */
export interface ReportedShard {
  /** The suffix of its name: `-00001-of-00003.gguf`. */
  suffix: string;
  size: number;
  /** SHA-256 of the file, in hexadecimal; with `hashes`. */
  sha256?: string;
}

/** The conversion of one tensor. */
export interface ReportedTensor {
  name: string;
  from: SourceType;
  to: FormatName;
  why: string;
  sourceBytes: number;
  bytes: number;
  /** Its weight error; with `report`. */
  error?: ErrorFigures;
  /** SHA-256 and XXH64 of its bytes in the output file, in hexadecimal; with `hashes`. */
  sha256?: string;
  xxh64?: string;
}

/** The parts of a report that the engine does not have. */
export interface ReportFacts {
  sourceSize: number;
  seconds: number;
  split: boolean;
  plain: boolean;
  /** What was requested. */
  hashes: boolean;
  errors: boolean;
}

/** A report whose tensors are created on access. */
export type LazyReport = Omit<Report, 'tensors'> & { tensors: LazyTensors<ReportedTensor> };

/** Reads a report of the engine tensor by tensor, for a file. */
export function lazyReport(engine: ModelReport, facts: ReportFacts): LazyReport {
  return { ...summaryOf(engine, facts), tensors: new LazyTensors(engine, (columns) => plainTensor(columns, facts)) };
}

/** Reads a report of the engine. */
export async function readReport(engine: ModelReport, facts: ReportFacts): Promise<Report> {
  const details = facts.hashes || facts.errors ? new Details(engine.tensorCount, facts) : undefined;
  const tensors = await tensorsOf(engine, (columns): ReportedTensor => {
    return details ? new DetailedTensor(columns, details) : plainTensor(columns, facts);
  });
  return { ...summaryOf(engine, facts), tensors };
}

function summaryOf(engine: ModelReport, { sourceSize, seconds, split, plain }: ReportFacts): Omit<Report, 'tensors'> {
  const { size, bytesResumed, sha256, weightError } = engine;
  return {
    sourceSize,
    size,
    seconds,
    bytesResumed,
    ...(sha256 !== undefined && { sha256 }),
    ...(plain && { plain: true }),
    ...(split && { shards: shardsOf(engine) }),
    ...(weightError !== undefined && { weightError }),
  };
}

function plainTensor(columns: Columns, { hashes, errors }: ReportFacts): ReportedTensor {
  const [name, from, to] = [columns.text(), columns.text() as SourceType, columns.text() as FormatName];
  const why = columns.text();
  const [sourceBytes, bytes] = [columns.number(), columns.number()];
  const [sha256, xxh64 = ''] = hashes ? [columns.text(), columns.text()] : [];
  const error = errors ? figuresOf(columns) : undefined;
  return { name, from, to, why, sourceBytes, bytes, ...(error && { error }), ...(sha256 && { sha256, xxh64 }) };
}

/** Numbers of an error: {@link ErrorFigures}, and whether the last one was measured. */
const FIGURES = 7;

/** Bytes of a SHA-256 and of an XXH64. */
const SHA256 = 32;
const XXH64 = 8;

/** Errors and hashes of many tensors: as numbers and bytes they take a third of the memory of objects and texts. */
class Details {
  /** The properties of a tensor in addition to names and sizes. */
  readonly properties: PropertyDescriptorMap;
  readonly #figures: Float64Array;
  readonly #hashes: Uint8Array;
  #count = 0;

  constructor(count: number, { hashes, errors }: ReportFacts) {
    this.#figures = new Float64Array(errors ? count * FIGURES : 0);
    this.#hashes = new Uint8Array(hashes ? count * (SHA256 + XXH64) : 0);
    this.properties = { ...(errors && { error: ERROR }), ...(hashes && { sha256: OF_SHA256, xxh64: OF_XXH64 }) };
  }

  /** Stores those of the next tensor; returns its row. */
  add(columns: Columns): number {
    const row = this.#count++;
    if (this.#hashes.length > 0) {
      this.#setHex(row * (SHA256 + XXH64), columns.text());
      this.#setHex(row * (SHA256 + XXH64) + SHA256, columns.text());
    }
    if (this.#figures.length > 0) {
      for (let at = row * FIGURES; at < (row + 1) * FIGURES; at++) this.#figures[at] = columns.number();
    }
    return row;
  }

  figures(row: number): ErrorFigures {
    let at = row * FIGURES;
    return figuresOf({ number: () => this.#figures[at++] ?? 0 });
  }

  hash(row: number, from: number, length: number): string {
    const start = row * (SHA256 + XXH64) + from;
    const bytes = this.#hashes.subarray(start, start + length);
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  }

  #setHex(at: number, hex: string): void {
    for (let i = 0; 2 * i < hex.length; i++) this.#hashes[at + i] = Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16);
  }
}

/** A tensor whose error and hashes are created on access. They are its own properties, so copies and JSON have them too. */
class DetailedTensor implements ReportedTensor {
  readonly name: string;
  readonly from: SourceType;
  readonly to: FormatName;
  readonly why: string;
  readonly sourceBytes: number;
  readonly bytes: number;
  declare readonly error?: ErrorFigures;
  declare readonly sha256?: string;
  declare readonly xxh64?: string;
  readonly #details: Details;
  readonly #row: number;

  constructor(columns: Columns, details: Details) {
    this.name = columns.text();
    this.from = columns.text() as SourceType;
    this.to = columns.text() as FormatName;
    this.why = columns.text();
    this.sourceBytes = columns.number();
    this.bytes = columns.number();
    this.#details = details;
    this.#row = details.add(columns);
    Object.defineProperties(this, details.properties);
  }

  static errorOf(tensor: DetailedTensor): ErrorFigures {
    return tensor.#details.figures(tensor.#row);
  }

  static hashOf(tensor: DetailedTensor, from: number, length: number): string {
    return tensor.#details.hash(tensor.#row, from, length);
  }
}

// All objects share these getters, and so their hidden class.
const ERROR: PropertyDescriptor & ThisType<DetailedTensor> = {
  enumerable: true,
  get() {
    return DetailedTensor.errorOf(this);
  },
};
const OF_SHA256: PropertyDescriptor & ThisType<DetailedTensor> = {
  enumerable: true,
  get() {
    return DetailedTensor.hashOf(this, 0, SHA256);
  },
};
const OF_XXH64: PropertyDescriptor & ThisType<DetailedTensor> = {
  enumerable: true,
  get() {
    return DetailedTensor.hashOf(this, SHA256, XXH64);
  },
};

function shardsOf(engine: ModelReport): ReportedShard[] {
  const shards = callModel(() => engine.shards()) as { size: number; sha256?: string }[];
  return shards.map(({ size, sha256 }, index, { length }) => {
    return { suffix: `${shardSuffix(index, length)}.gguf`, size, ...(sha256 !== undefined && { sha256 }) };
  });
}
