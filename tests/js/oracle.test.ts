/**
 * The package, engine and boundary together, writes the same bytes as ggml's own library for new random weights. The
 * Rust oracle (tests/oracle) covers more; this one tests what is shipped.
 */

import { type Format, formats, init, quantize } from 'quantpress';
import { beforeAll, describe, expect, test } from 'vitest';
import { hasGgml, loadGgml } from './support/ggml.js';
import { gauss, uniform } from './support/random.js';

const seed = Number(process.env.QUANTPRESS_SEED ?? Date.now() % 2 ** 31);
const ROW = 1024;
const ROWS = 16;

/** Kinds of weights, none of which makes the reference abort. */
const KINDS: Record<string, (random: () => number) => (index: number) => number> = {
  gaussian: (random) => {
    const next = gauss(random);
    return () => next() * 0.02;
  },
  'heavy-tailed': (random) => {
    const next = gauss(random);
    return () => (next() * 0.02) / Math.sqrt(0.05 + random());
  },
  outliers: (random) => {
    const next = gauss(random);
    return () => next() * (random() < 0.01 ? 1 : 0.02);
  },
  'scales that differ': (random) => {
    const next = gauss(random);
    return (index) => next() * 10 ** -(1 + ((index >> 8) % 4));
  },
};

describe.runIf(hasGgml)(`the live reference, QUANTPRESS_SEED=${seed}`, () => {
  let table: Format[];
  let ggml: ReturnType<typeof loadGgml>;

  beforeAll(async () => {
    await init();
    table = formats().filter(({ canEncode, name }) => canEncode && name !== 'F32');
    ggml = loadGgml();
  });

  describe.each(Object.entries(KINDS))('%s weights', (_, kind) => {
    test.each([false, true])('importance: %s', (weighted) => {
      const random = uniform(seed);
      const next = kind(random);
      const weights = Float32Array.from({ length: ROW * ROWS }, (_, index) => next(index));
      const importance = weighted ? Float32Array.from({ length: ROW }, () => 0.01 + random() ** 4) : undefined;
      const compared = table.filter(({ needsImportance }) => weighted || !needsImportance);
      expect(compared.length).toBeGreaterThan(10);
      for (const { id, name, weights: block, bytes } of compared) {
        const ours = quantize(weights, name, { rowLength: ROW, ...(importance && { importance }) });
        const theirs = ggml.encode(id, weights, ROW, (weights.length / block) * bytes, importance);
        // Not toEqual on the arrays: its report of thousands of bytes is useless.
        const first = ours.findIndex((byte, index) => byte !== theirs[index]);
        expect({ name, length: ours.length, first }).toEqual({ name, length: theirs.length, first: -1 });
      }
    });
  });
});
