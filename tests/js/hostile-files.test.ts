/** Untrusted manifests: the corpus, past findings, and some thousand mutations. */

import { expect, test } from 'vitest';
import { Finding, fuzz, runOnce, seeds, TARGETS } from '../../fuzz/javascript.js';

/** Mutations of each target in one run: a second or two. */
const RUNS = 20_000;

/** Another seed gives other mutations; `npm run fuzz` runs millions of new ones. */
const seed = Number(process.env.QUANTPRESS_SEED ?? 1);

test.each(Object.keys(TARGETS))('%s', (target) => {
  const known = seeds(target);
  expect(known.length).toBeGreaterThan(2);
  for (const bytes of known) runOnce(target, bytes);
  try {
    fuzz(target, RUNS, seed);
  } catch (error) {
    const bytes = error instanceof Finding ? error.bytes.toString('base64') : '';
    throw new Error(`seed ${seed}; keep these bytes in fuzz/findings/${target}: ${bytes}`, { cause: error });
  }
});

test('the harness detects a broken promise', () => {
  expect(() => runOnce('manifest', undefined as never)).toThrow(Finding);
});
