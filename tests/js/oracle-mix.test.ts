/**
 * The outputs of the best mix: llama.cpp runs it and the preset of the same size, and the test compares their
 * predictions.
 */

import { fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { analyzeModel, bestMix, init, openModel, quantizeModel } from 'quantpress';
import { beforeAll, describe, expect, test } from 'vitest';
import type { Job, Score } from '../oracle/llama_perplexity.js';
import { folder } from './support/files.js';
import { hasGgml } from './support/ggml.js';
import { WHALE, WHALE_IMATRIX, WHALE_TEXT } from './support/whale.js';

beforeAll(() => init());

/** The scores of models in llama.cpp, in a separate process. */
function scores(job: Job): Promise<Score[]> {
  const child = fork(fileURLToPath(new URL('../oracle/llama_perplexity.js', import.meta.url)), [], {
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  let log = '';
  child.stderr?.on('data', (chunk) => {
    log += chunk;
  });
  child.send(job);
  return new Promise((resolve, reject) => {
    child.on('message', (result) => resolve(result as Score[]));
    child.on('close', (code) => reject(new Error(`llama.cpp ended with ${code}: ${log.slice(-2000)}`)));
  });
}

describe.runIf(hasGgml)('in llama.cpp, on held-out text', () => {
  // Nine chunks of 256 tokens: enough to order differences of a tenth. benches/mix.js takes the whole text.
  const text = readFileSync(WHALE_TEXT, 'utf8').slice(0, 7000);

  test.each([undefined, WHALE_IMATRIX])(
    'mixes diverge less than presets of their size (imatrix: %s)',
    async (imatrix) => {
      const { file } = folder();
      const model = await openModel(WHALE);
      const analysis = await analyzeModel(model, { imatrix });
      const files: string[] = [WHALE];
      for (const preset of ['Q4_K_M', 'Q3_K_M', 'Q2_K'] as const) {
        const [theirs, ours] = [file(`${preset}.gguf`), file(`${preset}-mix.gguf`)];
        const { size } = await quantizeModel(model, theirs, preset, { imatrix });
        const mix = await bestMix(model, analysis, { targetSize: size }, { imatrix });
        const written = await quantizeModel(model, ours, mix.recipe, { imatrix });
        expect(written.size).toBeLessThanOrEqual(size);
        files.push(theirs, ours);
      }
      await model.close();
      const [original, ...found] = await scores({ models: files, text });
      expect(original?.divergence).toBe(0);
      for (let index = 0; index < found.length; index += 2) {
        const [theirs, ours] = found.slice(index, index + 2);
        expect(ours?.divergence, files[index + 2]).toBeLessThan(theirs?.divergence ?? 0);
        expect(ours?.perplexity).toBeLessThan((theirs?.perplexity ?? 0) * 1.01);
      }
    },
  );
});
