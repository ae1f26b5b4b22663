/** Manifests: the hashes of a model file and of its tensors, for `quantpress verify`, `sha256sum -c` and `llama-gguf-hash -c`. */

import { expectArray, expectObject, expectOffset, expectText } from '../engine/check.js';
import { QuantpressError } from '../engine/error.js';
import { jsonLines } from '../io/json-text.js';
import type { SourceType } from './model.js';
import type { LazyReport, Report, ReportedTensor } from './quantize/report.js';

/** The hashes of a file, all in hexadecimal. */
export interface Manifest {
  /** The file's name, without its folder. */
  file: string;
  /** Bytes of the whole file, and its SHA-256. */
  size: number;
  sha256: string;
  /**
   * The files of a model in several files, and their SHA-256. `size` and `sha256` are then those of the concatenated
   * files.
   */
  files?: { file: string; size: number; sha256: string }[];
  tensors: ManifestTensor[];
}

/** The hashes of a tensor's bytes, without padding. */
export interface ManifestTensor {
  name: string;
  type: SourceType;
  bytes: number;
  sha256: string;
  xxh64: string;
}

/**
 * The manifest of a file that was written with `hashes`.
 *
 * @param file - The file's name, without its folder.
 * @throws {@link QuantpressError} `ARGUMENT` if the report has no hashes.
 */
export function manifestOf(report: Report, file: string): Manifest {
  expectObject('report', report);
  expectText('file', file);
  const { sha256, tensors } = report;
  if (sha256 === undefined) {
    throw new QuantpressError(
      'ARGUMENT',
      'the report has no hashes: quantizeModel(..., { hashes: true }) computes them',
      {},
    );
  }
  return { ...fileOf({ ...report, sha256 }, file), tensors: tensors.map(lineOf) };
}

function lineOf({ name, to, bytes, sha256 = '', xxh64 = '' }: ReportedTensor): ManifestTensor {
  return { name, type: to, bytes, sha256, xxh64 };
}

/** @internal The text of the manifest of a report that is gone through once, piece by piece, for a file called `name`. */
export function manifestOfLazy(report: LazyReport, file: string, name: string): Iterable<string> {
  const { sha256 = '', tensors } = report;
  const lines = {
    length: tensors.length,
    slice: (from: number, to: number) => tensors.slice(from, to).map(lineOf),
    *[Symbol.iterator]() {
      for (const tensor of tensors) yield lineOf(tensor);
    },
  };
  return piecesOf({ ...fileOf({ ...report, sha256 }, file), tensors: lines }, name);
}

/** What a manifest says of the file, or of the files. */
function fileOf(report: Pick<Report, 'shards' | 'size'> & { sha256: string }, file: string): Omit<Manifest, 'tensors'> {
  const { sha256, size } = report;
  const stem = file.replace(/\.gguf$/i, '');
  const files = report.shards?.map((shard) => ({
    file: `${stem}${shard.suffix}`,
    size: shard.size,
    sha256: shard.sha256 ?? '',
  }));
  return { file, size, sha256, ...(files && { files }) };
}

/** A manifest whose tensors may be created on access. */
type Listed = Omit<Manifest, 'tensors'> & { tensors: Iterable<ManifestTensor> };

/** The format of a manifest by the extension of its file; any other is JSON. */
const FORMS: Record<string, (manifest: Listed) => Iterable<string>> = {
  sha256: ({ file, sha256, files = [{ file, sha256 }] }) => files.map((each) => `${each.sha256}  ${each.file}\n`),
  hashes: function* ({ file, tensors }) {
    for (const { name, sha256, xxh64 } of tensors) {
      yield `xxh64     ${xxh64}  ${file}:${name}\nsha256    ${sha256}  ${file}:${name}\n`;
    }
  },
};

/**
 * A manifest as text: the line of `sha256sum` for a name that ends in `.sha256`, the lines of `llama-gguf-hash` for
 * `.hashes`, and JSON otherwise.
 */
export function manifestText(manifest: Manifest, name: string): string {
  return [...manifestPieces(manifest, name)].join('');
}

/** @internal {@link manifestText}, piece by piece. */
export function manifestPieces(manifest: Manifest, name: string): Iterable<string> {
  expectObject('manifest', manifest);
  expectText('name', name);
  const { file, size, sha256, files, tensors } = manifest;
  expectText('manifest.file', file);
  expectOffset('manifest.size', size);
  expectText('manifest.sha256', sha256);
  expectArray('manifest.tensors', tensors);
  if (files !== undefined) expectArray('manifest.files', files);
  return piecesOf(manifest, name);
}

function piecesOf(manifest: Listed, name: string): Iterable<string> {
  const ending = /\.([a-z0-9]+)$/i.exec(name)?.[1]?.toLowerCase() ?? '';
  const form = Object.hasOwn(FORMS, ending) ? FORMS[ending] : undefined;
  const { file, size, sha256, files, tensors } = manifest;
  return form ? form(manifest) : jsonLines({ file, size, sha256, files, tensors });
}

/** The contents of a manifest in any format; fields that it does not have are absent. */
export interface ExpectedHashes {
  size?: number;
  sha256?: string;
  tensors: Map<string, { sha256?: string; xxh64?: string }>;
}

/**
 * Parses a manifest in any format. The file names in it are not compared: a file may be renamed.
 *
 * @throws {@link QuantpressError} `MALFORMED`.
 */
export function parseManifest(text: string): ExpectedHashes {
  expectText('text', text);
  const expected = text.trimStart().startsWith('{') ? fromJson(text) : fromLines(text);
  if (expected && (expected.sha256 !== undefined || expected.tensors.size > 0)) return expected;
  throw new QuantpressError(
    'MALFORMED',
    'this is not a manifest: it has neither the JSON of quantpress nor lines with hashes',
    {},
  );
}

function fromJson(text: string): ExpectedHashes | undefined {
  const content = parsed(text);
  const { size, sha256, tensors } = content;
  if (!isCount(size) || typeof sha256 !== 'string' || !Array.isArray(tensors)) return undefined;
  const entries = new Map<string, { sha256?: string; xxh64?: string }>();
  for (const tensor of tensors as Record<string, unknown>[]) {
    if (typeof tensor?.name !== 'string' || typeof tensor.sha256 !== 'string') return undefined;
    entries.set(tensor.name, { sha256: tensor.sha256 });
  }
  return { size, sha256, tensors: entries };
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

function parsed(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch (error) {
    const message = `the manifest is not JSON: ${error instanceof Error ? error.message : error}`;
    throw new QuantpressError('MALFORMED', message, {});
  }
}

/** `SHA256  FILE`, and `KIND  HASH  FILE:TENSOR`; tensor names have no colon in any known model, file names may. */
function fromLines(text: string): ExpectedHashes {
  const expected: ExpectedHashes = { tensors: new Map() };
  let files = 0;
  for (const line of text.split('\n')) {
    const whole = /^([0-9a-f]{64}) [ *]/i.exec(line)?.[1];
    if (whole !== undefined) {
      expected.sha256 = whole.toLowerCase();
      files += 1;
    }
    // The name is cut off afterwards: a pattern that finds the last colon itself would try every space before it.
    const [, kind, hash = '', place = ''] = /^(xxh64|sha256) +([0-9a-f]+) +(\S.*)$/i.exec(line) ?? [];
    const name = place.slice(place.lastIndexOf(':') + 1);
    if (kind === undefined || name === '' || name === place) continue;
    const tensor = expected.tensors.get(name) ?? {};
    expected.tensors.set(name, { ...tensor, [kind.toLowerCase()]: hash.toLowerCase() });
  }
  if (files > 1) {
    const message = `the manifest has hashes of ${files} separate files; check them with sha256sum -c, or use a JSON manifest of the whole model`;
    throw new QuantpressError('UNSUPPORTED', message, { files });
  }
  return expected;
}
