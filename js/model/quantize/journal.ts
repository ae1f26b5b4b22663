/**
 * The journal of a conversion: what an interrupted run has left, so that another can go on.
 *
 * A file of lines. Each is a checksum (CRC-32 in hexadecimal), a space, and JSON: first what the job is, then one line for
 * each tile that is on the disk. A line that is torn or damaged is passed over, and its tile made again. Nothing that the
 * journal says is trusted: the bytes of every tile are read back and must have the hash that was noted.
 */

import { QuantpressError } from '../../engine/error.js';
import { MAX_JOURNAL_BYTES } from '../../engine/limits.js';

/** Anything JSON has. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** What a job is. Another run may go on with its work only if all of it is the same. */
export interface JobIdentity {
  /** The version of the engine that writes. */
  engine: string;
  /** Size, state and header of the source; empty where it cannot be recognised again. */
  source: string;
  /** The importance matrix, by its hash; empty without one. */
  imatrix: string;
  /** The recipe and what the plan makes of it: the header of the output file and the place of each tensor. */
  recipe: string;
}

/** A tile that is on the disk. */
export interface JournalTile {
  /** Where it begins in the output file, and its length without padding. */
  offset: number;
  length: number;
  /** XXH64 of its bytes. */
  hash: string;
  /** What the run wants to know of the tile again: statistics for the report. */
  note?: Json;
}

/** A journal, read. */
export interface Journal {
  job: JobIdentity;
  /** The tiles by their offset. */
  tiles: Map<number, JournalTile>;
}

const MAGIC = 'quantpress journal 1';

/** One line: no note of ours is near this long. */
export const MAX_JOURNAL_LINE = 1 << 16;

/** The first line. */
export function journalHead(job: JobIdentity): Uint8Array<ArrayBuffer> {
  return line({ journal: MAGIC, ...job });
}

/** The line of a tile. */
export function journalTile({ offset, length, hash, note }: JournalTile): Uint8Array<ArrayBuffer> {
  return line({ offset, length, hash, ...(note !== undefined && { note }) });
}

/**
 * Reads a journal, whatever the bytes are. `undefined` is what cannot be used at all: its first line is missing or damaged.
 * Damaged lines after it are passed over.
 */
export function parseJournal(bytes: Uint8Array): Journal | undefined {
  if (bytes.length > MAX_JOURNAL_BYTES) return undefined;
  let journal: Journal | undefined;
  for (let at = 0; at < bytes.length; ) {
    const newline = bytes.indexOf(NEWLINE, at);
    // Without its end a line may lack some of its last digits and still look like one.
    if (newline < 0) break;
    const content = parseLine(bytes.subarray(at, newline));
    const empty = newline === at;
    at = newline + 1;
    if (empty) continue;
    if (!journal) {
      const job = content && jobOf(content);
      if (!job) return undefined;
      journal = { job, tiles: new Map() };
    } else {
      const tile = content && tileOf(content);
      if (tile) journal.tiles.set(tile.offset, tile);
    }
  }
  return journal;
}

/** Refuses to go on with the work of another job (`CHANGED`, with what is different), or of one that cannot be compared. */
export function checkJob(theirs: JobIdentity, ours: JobIdentity): void {
  if (theirs.source === '' || ours.source === '') {
    const message =
      'cannot resume: this kind of source cannot be recognised again, it has no time of change and no ETag';
    throw new QuantpressError('UNSUPPORTED', message, {});
  }
  const differs = (Object.keys(WHAT) as (keyof JobIdentity)[]).find((part) => theirs[part] !== ours[part]);
  if (differs === undefined) return;
  const message = `cannot resume: ${WHAT[differs](theirs, ours)}; without resume the work begins anew`;
  throw new QuantpressError('CHANGED', message, { changed: differs });
}

const WHAT: Record<keyof JobIdentity, (theirs: JobIdentity, ours: JobIdentity) => string> = {
  engine: (theirs, ours) => `it was begun by version ${theirs.engine} of the engine, and this is ${ours.engine}`,
  source: () => 'the source is not the one it was begun with, or was changed since',
  imatrix: () => 'the importance matrix is not the one it was begun with',
  recipe: () => 'the preset or the options are not those it was begun with',
};

const NEWLINE = 10;

function line(content: Json): Uint8Array<ArrayBuffer> {
  const json = new TextEncoder().encode(JSON.stringify(content));
  // The newline before it ends a line that an interrupted run has torn; empty lines mean nothing.
  return new TextEncoder().encode(`\n${crc32(json)} ${new TextDecoder().decode(json)}\n`);
}

function parseLine(bytes: Uint8Array): Record<string, unknown> | undefined {
  if (bytes.length < CHECKSUM + 1 || bytes.length > MAX_JOURNAL_LINE) return undefined;
  const json = bytes.subarray(CHECKSUM + 1);
  const sum = String.fromCharCode(...bytes.subarray(0, CHECKSUM));
  if (sum !== crc32(json)) return undefined;
  try {
    const content: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(json));
    return typeof content === 'object' && content !== null ? (content as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function jobOf({ journal, engine, source, imatrix, recipe }: Record<string, unknown>): JobIdentity | undefined {
  if (journal !== MAGIC) return undefined;
  if (typeof engine !== 'string' || typeof source !== 'string') return undefined;
  if (typeof imatrix !== 'string' || typeof recipe !== 'string') return undefined;
  return { engine, source, imatrix, recipe };
}

function tileOf({ offset, length, hash, note }: Record<string, unknown>): JournalTile | undefined {
  if (!isCount(offset) || !isCount(length) || typeof hash !== 'string') return undefined;
  return { offset, length, hash, ...(note !== undefined && { note: note as Json }) };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** Digits of a checksum. */
const CHECKSUM = 8;

const CRC = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});

/** CRC-32 as gzip has it. In JavaScript, so that journals can be read before the engine is loaded. */
function crc32(bytes: Uint8Array): string {
  let crc = 0xffff_ffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ (CRC[(crc ^ byte) & 255] ?? 0);
  return ((crc ^ 0xffff_ffff) >>> 0).toString(16).padStart(CHECKSUM, '0');
}
