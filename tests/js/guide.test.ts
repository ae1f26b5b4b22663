/**
 * Every code block of the guide and of the README runs unchanged and prints the block below it. Pages in HTML run in
 * tests/browser/guide.test.ts, Rust by `cargo test --doc`.
 */

import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Block, blocksOf } from './support/pages.js';
import { safetensorsFile } from './support/safetensors.js';
import { WHALE, WHALE_CALIBRATION, WHALE_IMATRIX, WHALE_TEXT } from './support/whale.js';

const PAGES = [
  'README.md',
  ...readdirSync('docs')
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

/** Shell lines that are not run here, because they need a network. */
const ELSEWHERE = /^(npm (install quantpress|start|test)|cargo add quantpress)\b/;

/** Runs a block of each language in a folder with a model, and returns what it prints. */
const RUN: Record<string, (block: Block, folder: string) => string> = {
  js: ({ code, line }, folder) => {
    const file = `${line}.mjs`;
    writeFileSync(join(folder, file), code);
    return node(folder, [0], file);
  },
  sh: ({ code }, folder) =>
    code
      .split('\n')
      .filter((command) => command !== '' && !ELSEWHERE.test(command))
      .map((command) => {
        const [, args] = /^npx quantpress (.*)$/.exec(command) ?? [];
        if (args === undefined) throw new Error(`who runs '${command}'?`);
        // `diff` reports different files by its exit code.
        return node(folder, args.startsWith('diff ') ? [0, 1] : [0], resolve('dist/cli/main.js'), ...args.split(' '));
      })
      .join(''),
};

const OTHERS = ['html', 'rust'];

function node(folder: string, fine: number[], ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' });
  expect(fine, stderr).toContain(status);
  return stdout;
}

/** A small Hugging Face model with constant weights; those of tests/golden/language are generated. */
function writeModel(path: string): void {
  const from = 'tests/golden/language/SmolLM9-21K-Instruct';
  mkdirSync(path, { recursive: true });
  for (const name of readdirSync(from)) copyFileSync(join(from, name), join(path, name));
  const lines = readFileSync(join(from, 'tensors.txt'), 'utf8').trim().split('\n');
  const tensors = lines.map((line) => {
    const [, name = '', dtype = '', extents = ''] = line.split(' ');
    const shape = extents.split(',').map(Number);
    const count = shape.reduce((product, n) => product * n, 1);
    return [name, { dtype, shape, data: new Uint8Array(count * (dtype === 'F32' ? 4 : 2)).fill(0x3c) }] as const;
  });
  writeFileSync(join(path, 'model.safetensors'), safetensorsFile(Object.fromEntries(tensors)));
}

test("the guide's pages are found", () => {
  expect(
    readdirSync('docs')
      .filter((name) => name.endsWith('.md'))
      .sort(),
  ).toEqual([
    'deploying.md',
    'formats-and-how-to-choose.md',
    'guarantees.md',
    'how-exactness-is-checked.md',
    'qlora-and-qat.md',
    'quick-start.md',
    'whole-models.md',
  ]);
});

describe.each(PAGES.filter((page) => blocksOf(page).length > 0))('%s', (page) => {
  // Inside the package its own name resolves through its exports.
  const folder = resolve('.cache/guide', page);
  beforeAll(() => {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    copyFileSync(WHALE, join(folder, 'model-f16.gguf'));
    copyFileSync(WHALE_IMATRIX, join(folder, 'imatrix.gguf'));
    copyFileSync(WHALE_CALIBRATION, join(folder, 'calibration.txt'));
    copyFileSync(WHALE_TEXT, join(folder, 'held-out.txt'));
    writeModel(join(folder, 'hf-model'));
  });

  const blocks = blocksOf(page).filter(({ language }) => !OTHERS.includes(language));
  test.each(blocks.map((block) => [`line ${block.line}`, block] as const))('%s', (_, block) => {
    const run = RUN[block.language];
    if (!run) throw new Error(`a block of ${block.language} is run by nobody`);
    // The output of shell commands is not compared; they must not fail.
    const printed = run(block, folder);
    if (block.prints !== undefined) expect(printed).toBe(block.prints);
  });
});

describe.each([...PAGES, 'CHANGELOG.md', 'CONTRIBUTING.md', 'SECURITY.md', 'fuzz/README.md'])('%s', (page) => {
  test('links to files that exist', () => {
    const links = [...readFileSync(page, 'utf8').matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)].map(([, link = '']) => link);
    for (const link of links) expect(existsSync(join(dirname(page), link)), link).toBe(true);
  });
});
