/** A real model from its folder: all-MiniLM-L6-v2, compared with llama.cpp. */

import { readFileSync } from 'node:fs';
import { init, openModel, quantizeModel } from 'quantpress';
import { beforeAll, describe, expect, test } from 'vitest';
import { folder, sha256 } from './support/files.js';
import { hasGgml } from './support/ggml.js';
import { llamaEmbed } from './support/llama.js';
import { minilm } from './support/minilm.js';

beforeAll(() => init());

/**
 * The SHA-256 of the file that convert_hf_to_gguf.py writes from the same folder with `--outtype f32`: see
 * tests/golden/language/README.md.
 */
const SHA256 = 'd7789a32f129eb1c40149073cdfdda11c538029695c7ff52eac04ae4af1130bb';

const GOLDEN = new URL('../golden/language/minilm-embeddings.json', import.meta.url);

function cosine(a: readonly number[], b: readonly number[]): number {
  const dot = (x: readonly number[], y: readonly number[]) =>
    x.reduce((sum, value, at) => sum + value * (y[at] ?? 0), 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

describe.runIf(hasGgml)('all-MiniLM-L6-v2', () => {
  test("equals the script's file, and its embeddings in llama.cpp equal the original's in PyTorch", async () => {
    const output = folder().file('minilm.gguf');
    const model = await openModel(minilm());
    await quantizeModel(model, output, 'F32');
    await model.close();
    expect(sha256(output)).toBe(SHA256);
    const texts = ['The whale is a mammal.', 'Sea captains seldom forgive a lost leg.'];
    const vectors = await llamaEmbed({ model: output, texts });
    const originals: number[][] = JSON.parse(readFileSync(GOLDEN, 'utf8'));
    for (const [index, original] of originals.entries()) {
      expect(cosine(vectors[index] ?? [], original)).toBeGreaterThan(0.9999);
    }
    expect(cosine(vectors[0] ?? [], originals[1] ?? [])).toBeLessThan(0.9);
  });
});
