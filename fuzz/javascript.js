/**
 * Fuzz targets for what JavaScript parses itself: manifests. Each target accepts any bytes and throws only if an invariant is
 * violated. tests/js/hostile-files.test.ts runs a few thousand mutations, `npm run fuzz -- manifest` millions.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { QuantpressError } from '../dist/engine/error.js';
import { parseManifest } from '../dist/model/manifest.js';

/** @param {unknown} holds @param {string} what */
function promise(holds, what) {
  if (!holds) throw new Error(what);
}

/**
 * The function of each target, which accepts any bytes.
 * @type {Record<string, (bytes: Buffer) => void>}
 */
export const TARGETS = {
  manifest: (bytes) => {
    for (const encoding of /** @type {const} */ (['utf8', 'latin1'])) {
      try {
        const { size, sha256, tensors } = parseManifest(bytes.toString(encoding));
        promise(size === undefined || (Number.isSafeInteger(size) && size >= 0), `a file of ${size} bytes`);
        promise(sha256 === undefined || typeof sha256 === 'string', 'a hash that is not a string');
        promise(sha256 !== undefined || tensors.size > 0, 'an empty manifest');
        for (const [name, sums] of tensors) {
          promise(name !== '' || sha256 !== undefined, 'a tensor without a name');
          for (const sum of Object.values(sums)) promise(typeof sum === 'string', 'a hash that is not a string');
        }
      } catch (error) {
        // A manifest of several separate files is well-formed.
        const refusals = ['MALFORMED', 'UNSUPPORTED'];
        if (!(error instanceof QuantpressError) || !refusals.includes(error.code)) throw error;
      }
    }
  },
};

/** The maximum size of an input: bugs in parsers also show in small files. */
const MAX_BYTES = 4096;

/** The corpus and everything ever found. @param {string} target @returns {Buffer[]} */
export function seeds(target) {
  return ['corpus', 'findings'].flatMap((kind) => {
    const folder = new URL(`./${kind}/${target}/`, import.meta.url);
    try {
      return readdirSync(folder).map((name) => readFileSync(new URL(name, folder)));
    } catch {
      return []; // no findings yet
    }
  });
}

/** A random number generator with a seed (xorshift). @param {number} seed @returns {(n: number) => number} */
export function random(seed) {
  let state = seed | 1;
  return (n) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return n > 0 ? (state >>> 0) % n : 0;
  };
}

/** Boundary values of counts, as text, and other JSON tokens. */
const WORDS = [
  ...['0', '-1', '1e999', '0.5', '9007199254740993', '18446744073709551615', 'null', '""', '[]', '{}', '"__proto__"'],
  ...[' '.repeat(64), ':', '\n', '{', '"', '\\u0000', '\\ud800', '\ufeff', '\r'],
];

/**
 * Applies one of many kinds of mutations. @param {Buffer} bytes @param {Buffer} other @param {(n: number) => number}
 * below
 */
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

/** The failure of a target. */
export class Finding extends Error {
  /** @param {string} target @param {Buffer} bytes @param {unknown} cause */
  constructor(target, bytes, cause) {
    super(`${target}: ${cause instanceof Error ? cause.message : cause}`, { cause });
    this.target = target;
    this.bytes = bytes;
  }
}

/** Runs a target once and throws its failure as a {@link Finding}. @param {string} target @param {Buffer} bytes */
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
