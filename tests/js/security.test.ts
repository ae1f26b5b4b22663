/** The sentences of SECURITY.md that can be read from the repository. */

import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const read = (path: string) => readFileSync(path, 'utf8');

function rustFiles(): string[] {
  const names = readdirSync('src', { recursive: true, encoding: 'utf8' });
  return names.filter((name) => name.endsWith('.rs')).map((name) => `src/${name.replaceAll('\\', '/')}`);
}

/** Rust source without comments, strings and doc attributes. */
const code = (text: string) => text.replace(/\/\/.*$/gm, '').replace(/"(?:[^"\\]|\\.)*"/g, '""');

test('unsafe Rust is in one module, denied elsewhere, and every use has a SAFETY comment', () => {
  expect(read('Cargo.toml')).toMatch(/^unsafe_code = "(deny|forbid)"/m);
  const files = rustFiles();
  expect(files.length).toBeGreaterThan(100);
  const using = files.filter((file) => /\bunsafe\b|allow\(unsafe_code\)/.test(code(read(file))));
  expect(using).toEqual(['src/lanes/simd128.rs']);
  const lines = read('src/lanes/simd128.rs').split('\n');
  const uses = lines.flatMap((line, index) => (/\bunsafe\b/.test(code(line)) ? [index] : []));
  expect(uses.length).toBeGreaterThan(0);
  for (const index of uses) {
    if (/allow\(unsafe_code\)/.test(lines[index] ?? '')) continue;
    expect(lines.slice(index - 1, index).join(), `line ${index + 1}`).toMatch(/\/\/ SAFETY: /);
  }
});

test('the build installs packages without their scripts everywhere', () => {
  const tools = readdirSync('tools', { recursive: true, encoding: 'utf8' }).filter(
    (name) => name.endsWith('.js') && !/wasm-tools/.test(name),
  );
  const installs = tools.flatMap((name) =>
    [...read(`tools/${name}`).matchAll(/'npm', \[\s*'(?:ci|install|i|exec)'[^\]]*\]/g)].map(
      ([args]) => [name, args] as const,
    ),
  );
  expect(installs.length).toBeGreaterThan(0);
  for (const [name, args] of installs) expect(args, name).toContain("'--ignore-scripts'");
});

test('the npm package has no dependencies', () => {
  const { dependencies, optionalDependencies, peerDependencies } = JSON.parse(read('package.json'));
  expect([dependencies, optionalDependencies, peerDependencies]).toEqual([undefined, undefined, undefined]);
});

test('the files that SECURITY.md lists for limits have named limits with a reason each', () => {
  const files = [...read('SECURITY.md').matchAll(/`((?:src|js)\/[\w/-]+\.(?:rs|ts))`/g)].map(([, file]) => file ?? '');
  const limits = files.filter((file) => file !== 'src/lanes/simd128.rs');
  expect(limits.length).toBeGreaterThanOrEqual(4);
  for (const file of limits) {
    const lines = read(file).split('\n');
    const named = lines.flatMap((line, index) => (/const MAX_\w+/.test(line) ? [index] : []));
    expect(named.length, file).toBeGreaterThan(0);
    for (const index of named) expect(lines[index - 1], `${file}, ${lines[index]}`).toMatch(/^\s*(\/\/\/|\/\*\*|\*\/)/);
  }
});

test('every kind of file has a fuzz target with a corpus, and the tests run 20 000 mutations of each', () => {
  const targets = readdirSync('fuzz/corpus').toSorted();
  for (const kind of [
    'gguf',
    'imatrix',
    'index',
    'journal',
    'language',
    'manifest',
    'recipe',
    'safetensors',
    'shards',
  ]) {
    expect(targets).toContain(kind);
  }
  for (const target of targets) expect(readdirSync(`fuzz/corpus/${target}`).length, target).toBeGreaterThan(0);
  expect(read('tests/hostile.rs')).toMatch(/^const RUNS: usize = 20_000;/m);
  expect(read('tests/hostile.rs')).toMatch(/#\[global_allocator\]/);
});

test("the playground's policy has neither unsafe-inline nor unsafe-eval", () => {
  const policy = /http-equiv="Content-Security-Policy"\s+content="([^"]+)"/.exec(read('www/index.html'))?.[1] ?? '';
  expect(policy).toMatch(/^default-src 'none'/);
  expect(policy.replaceAll("'wasm-unsafe-eval'", '')).not.toMatch(/unsafe-inline|unsafe-eval/);
});
