/** Every `@example` in the documentation comments of js/ runs, with the assumed declarations. */

import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { sourceFiles } from '../../tools/lib/imports.js';
import { WHALE } from './support/whale.js';

const FOLDER = resolve('.cache/tsdoc');

/** Needs a browser; tests/engines/quantize.test.ts covers it. */
const ELSEWHERE = new Set(['js/io/target/opfs.ts']);

/** The declarations that examples assume: the package's functions, a model, a text, a tensor. */
const GIVEN = `
  import * as quantpress from 'quantpress';
  await quantpress.init();
  Object.assign(globalThis, quantpress);
  const text = 'Call me Ishmael. Some years ago I thought I would see the watery part of the world. '.repeat(40);
  const [rows, columns] = [4, 1024 * 4];
  const weights = quantpress.generateGaussianWeights(rows * columns, 0, 0.02, 1);
  const bytes = quantpress.quantize(weights, 'Q4_K');
  const [x, dy] = [weights, weights.map(() => 1)];
  const model = await quantpress.openModel('model-f16.gguf');`;

function examplesOf(file: string): string[] {
  const comments = readFileSync(file, 'utf8').matchAll(/^ *\* @example\n *\* ```ts\n([\s\S]*?)^ *\* ```$/gm);
  return [...comments].map(([, code = '']) => code.replace(/^ *\* ?/gm, ''));
}

const examples = sourceFiles('js').flatMap((file) => examplesOf(file).map((code, index) => ({ file, index, code })));

beforeAll(() => {
  mkdirSync(FOLDER, { recursive: true });
  for (const name of ['model-f16', 'model-Q4_K_M', 'f16', 'q4']) copyFileSync(WHALE, `${FOLDER}/${name}.gguf`);
});

describe('examples of documentation comments', () => {
  test('are found', () => expect(examples.length).toBeGreaterThan(10));

  test.each(examples.filter(({ file }) => !ELSEWHERE.has(file)))('$file', ({ file, index, code }) => {
    const program = `${FOLDER}/${file.replaceAll('/', '-')}-${index}.mjs`;
    // In its own block: an example may reuse a name from above.
    writeFileSync(program, `${GIVEN}\n{\n${code}\n}\nawait model.close();\n`);
    execFileSync(process.execPath, [program], { cwd: FOLDER, stdio: ['ignore', 'ignore', 'pipe'] });
  });
});
