/**
 * Hostile input for what JavaScript parses itself: journals and manifests. Each target takes any bytes and throws only where
 * a promise is broken. tests/js/hostile-files.test.ts runs some thousand mutations, `npm run fuzz -- journal` millions.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { QuantpressError } from '../dist/engine/error.js';
import { parseJournal } from '../dist/model/quantize/journal.js';
import { parseManifest } from '../dist/model/manifest.js';

/** @param {unknown} holds @param {string} what */
function promise(holds, what) {
  if (!holds) throw new Error(what);
}

/** The lines of a journal under checksums that are right: no mutation would find one. @param {Buffer} bytes */
function repaired(bytes) {
  const lines = bytes.toString('latin1').split('\n');
  const mended = lines.map((line) => {
    const json = Buffer.from(line.slice(9), 'latin1');
    return line.length < 10 ? line : `${crc32(json).toString(16).padStart(8, '0')} ${json.toString('latin1')}`;
  });
  return Buffer.from(mended.join('\n'), 'latin1');
}

/** @param {Buffer} bytes */
function journalOf(bytes) {
  const journal = parseJournal(bytes);
  if (!journal) return undefined;
  const { engine, source, imatrix, recipe } = journal.job;
  for (const part of [engine, source, imatrix, recipe]) promise(typeof part === 'string', 'a job that is no text');
  for (const [key, { offset, length, hash }] of journal.tiles) {
    promise(key === offset && Number.isSafeInteger(offset) && offset >= 0, `a tile at ${offset}`);
    promise(Number.isSafeInteger(length) && length >= 0, `a tile of ${length} bytes`);
    promise(typeof hash === 'string', 'a hash that is no text');
  }
  return journal;
}

/**
 * What each target does with any bytes.
 * @type {Record<string, (bytes: Buffer) => void>}
 */
export const TARGETS = {
  journal: (bytes) => {
    journalOf(bytes);
    const whole = repaired(bytes);
    const journal = journalOf(whole);
    // A run that was killed leaves the start of a journal: it says nothing that the whole does not.
    const torn = journalOf(whole.subarray(0, Math.floor(whole.length / 2)));
    if (!torn) return;
    promise(journal, 'the start of a journal is one, and the whole is none');
    promise(JSON.stringify(torn.job) === JSON.stringify(journal?.job), 'the start of a journal is of another job');
    for (const offset of torn.tiles.keys())
      promise(journal?.tiles.has(offset), `only the start has a tile at ${offset}`);
  },
  manifest: (bytes) => {
    for (const encoding of /** @type {const} */ (['utf8', 'latin1'])) {
      try {
        const { size, sha256, tensors } = parseManifest(bytes.toString(encoding));
        promise(size === undefined || (Number.isSafeInteger(size) && size >= 0), `a file of ${size} bytes`);
        promise(sha256 === undefined || typeof sha256 === 'string', 'a hash that is no text');
        promise(sha256 !== undefined || tensors.size > 0, 'a manifest that says nothing');
        for (const [name, sums] of tensors) {
          promise(name !== '' || sha256 !== undefined, 'a tensor without a name');
          for (const sum of Object.values(sums)) promise(typeof sum === 'string', 'a sum that is no text');
        }
      } catch (error) {
        // A manifest of several files by themselves is well-formed.
        const refusals = ['MALFORMED', 'UNSUPPORTED'];
        if (!(error instanceof QuantpressError) || !refusals.includes(error.code)) throw error;
      }
    }
  },
};

/** Inputs do not grow beyond this: what is wrong with a parser is wrong in small files too. */
const MAX_BYTES = 4096;

/** The hand-made inputs and what was ever found. @param {string} target @returns {Buffer[]} */
export function seeds(target) {
  return ['corpus', 'findings'].flatMap((kind) => {
    const folder = new URL(`./${kind}/${target}/`, import.meta.url);
    try {
      return readdirSync(folder).map((name) => readFileSync(new URL(name, folder)));
    } catch {
      return []; // nothing was found yet
    }
  });
}

/** Numbers below a bound, from a seed (xorshift). @param {number} seed @returns {(n: number) => number} */
export function random(seed) {
  let state = seed | 1;
  return (n) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return n > 0 ? (state >>> 0) % n : 0;
  };
}

/** Numbers, as text, at which counts turn over; and what JSON has besides. */
const WORDS = [
  ...['0', '-1', '1e999', '0.5', '9007199254740993', '18446744073709551615', 'null', '""', '[]', '{}', '"__proto__"'],
  ...[' '.repeat(64), ':', '\n', '{', '"', '\\u0000', '\\ud800', '\ufeff', '\r'],
];

/** One change of many kinds. @param {Buffer} bytes @param {Buffer} other @param {(n: number) => number} below */
function mutated(bytes, other, below) {
  const at = below(bytes.length + 1);
  const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)];
  const piece = (/** @type {Buffer} */ of) => {
    const from = below(of.length);
    return of.subarray(from, from + below(64));
  };
  const parts = [
    () => [before, Buffer.of(below(256)), after.subarray(1)],
    () => [before, Buffer.of((after[0] ?? 0) ^ (1 << below(8))), after.subarray(1)],
    () => [before, after.subarray(below(32))],
    () => [before],
    () => [before, piece(other), after],
    () => [before, piece(bytes), after],
    () => [before, Buffer.from(WORDS[below(WORDS.length)] ?? ''), after.subarray(below(8))],
  ];
  const made = parts[below(parts.length)]?.() ?? [];
  return Buffer.concat(made).subarray(0, MAX_BYTES);
}

/** What a target did not stand. */
export class Finding extends Error {
  /** @param {string} target @param {Buffer} bytes @param {unknown} cause */
  constructor(target, bytes, cause) {
    super(`${target}: ${cause instanceof Error ? cause.message : cause}`, { cause });
    this.target = target;
    this.bytes = bytes;
  }
}

/** Runs a target once; what it throws is a {@link Finding}. @param {string} target @param {Buffer} bytes */
export function runOnce(target, bytes) {
  try {
    TARGETS[target]?.(bytes);
  } catch (error) {
    throw new Finding(target, bytes, error);
  }
}

/** Runs a target on mutations of its seeds. @param {string} target @param {number} runs @param {number} seed */
export function fuzz(target, runs, seed) {
  const known = seeds(target);
  const below = random(seed);
  const pick = () => known[below(known.length)] ?? Buffer.alloc(0);
  for (let run = 0; run < runs; run++) {
    let bytes = pick();
    for (let left = below(5); left >= 0; left--) bytes = mutated(bytes, pick(), below);
    runOnce(target, bytes);
  }
}
