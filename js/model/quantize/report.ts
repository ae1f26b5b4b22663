/** The report of a conversion, read from the engine. */

import type { ModelReport } from '../../engine/bindings.js';
import { tensorsOf } from '../../engine/columns.js';
import { call } from '../../engine/wasm.js';
import { shardSuffix } from '../../io/file-names.js';
import { figuresOf, weightErrorOf, type ErrorFigures } from '../../numerics/distortion.js';
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

/** Reads a report of the engine. */
export async function readReport(engine: ModelReport, facts: ReportFacts): Promise<Report> {
  const { sourceSize, seconds, split, plain, hashes, errors } = facts;
  const weightsOf: number[] = [];
  const tensors = await tensorsOf(engine, (columns): ReportedTensor => {
    const [name, from, to] = [columns.text(), columns.text() as SourceType, columns.text() as FormatName];
    const why = columns.text();
    const [weights, sourceBytes, bytes] = [columns.number(), columns.number(), columns.number()];
    const [sha256, xxh64 = ''] = hashes ? [columns.text(), columns.text()] : [];
    const figures = errors ? Float64Array.from({ length: FIGURES }, () => columns.number()) : undefined;
    if (figures) weightsOf.push(weights);
    const error = figures && figuresOf(figures);
    // Not spread: that makes an object twice the size.
    if (error && sha256 !== undefined) return { name, from, to, why, sourceBytes, bytes, error, sha256, xxh64 };
    if (error) return { name, from, to, why, sourceBytes, bytes, error };
    if (sha256 !== undefined) return { name, from, to, why, sourceBytes, bytes, sha256, xxh64 };
    return { name, from, to, why, sourceBytes, bytes };
  });
  const { size, bytesResumed, sha256 } = engine;
  function* changes() {
    for (const [index, weights] of weightsOf.entries()) {
      yield { weights, relativeRmse: tensors[index]?.error?.relativeRmse };
    }
  }
  const error = errors ? weightErrorOf(changes()) : undefined;
  return {
    sourceSize,
    size,
    seconds,
    bytesResumed,
    ...(sha256 !== undefined && { sha256 }),
    ...(plain && { plain: true }),
    ...(split && { shards: shardsOf(engine) }),
    ...(error !== undefined && { weightError: error }),
    tensors,
  };
}

/** The number of figures of an error. */
const FIGURES = 7;

function shardsOf(engine: ModelReport): ReportedShard[] {
  const shards = call(() => engine.shards()) as { size: number; sha256?: string }[];
  return shards.map(({ size, sha256 }, index, { length }) => {
    return { suffix: `${shardSuffix(index, length)}.gguf`, size, ...(sha256 !== undefined && { sha256 }) };
  });
}
