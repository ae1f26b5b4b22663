/** The layers of DESIGN.md: a file imports only from its own level or lower ones, and no imports are circular. */

import { expect, test } from 'vitest';
import { relativeImports, sourceFiles } from '../../tools/lib/imports.js';
import { rustImports, usedPaths } from '../../tools/lib/rust-imports.js';

/** The folders of js/ from the lowest level; `.` contains the entries. */
const LEVELS = ['engine', 'numerics', 'io', 'io/source', 'pool', 'io/target', 'model', '.', 'cli'];

/** The level of a file of js/: that of its nearest folder with one. */
function levelOf(file: string): number {
  const folders = file.split('/').slice(1, -1);
  for (let depth = folders.length; depth > 0; depth--) {
    const level = LEVELS.indexOf(folders.slice(0, depth).join('/'));
    if (level >= 0) return level;
  }
  return folders.length === 0 ? LEVELS.indexOf('.') : -1;
}

/** Each file of a folder with its imports within the folder. */
function importsOf(folder: string): Map<string, string[]> {
  const files = sourceFiles(folder);
  return new Map(files.map((file) => [file, relativeImports(file).filter((name) => files.includes(name))]));
}

/** Import cycles, each as its files in order. */
function circles(imports: ReadonlyMap<string, readonly string[]>): string[] {
  const found: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]) => {
    const start = path.indexOf(file);
    if (start >= 0) found.push([...path.slice(start), file].join(' -> '));
    if (start >= 0 || done.has(file)) return;
    for (const next of imports.get(file) ?? []) visit(next, [...path, file]);
    done.add(file);
  };
  for (const file of imports.keys()) visit(file, []);
  return found;
}

test('detects a circular import', () => {
  const imports = new Map([
    ['a', ['b', 'c']],
    ['b', ['c']],
    ['c', ['d']],
    ['d', ['b']],
  ]);
  expect(circles(imports)).toEqual(['b -> c -> d -> b']);
});

test.each(['js', 'www/src'])('%s has no circular imports', (folder) => {
  const imports = importsOf(folder);
  expect([...imports.values()].flat().length).toBeGreaterThan(50);
  expect(circles(imports)).toEqual([]);
});

test('every folder of js/ has a level', () => {
  expect(sourceFiles('js').filter((file) => levelOf(file) < 0)).toEqual([]);
});

test('no file of js/ imports from a higher level', () => {
  const upward = [...importsOf('js')].flatMap(([file, names]) =>
    names.filter((name) => levelOf(name) > levelOf(file)).map((name) => `${file} -> ${name}`),
  );
  expect(upward).toEqual([]);
});

/** The modules of the crate from the lowest level. */
const CRATE = [
  [
    'allocation',
    'error',
    'half',
    'hash',
    'interning',
    'json',
    'lanes',
    'round',
    'serialization',
    'setters',
    'sort',
    'tagged_enum',
    'tiling',
    'validation',
  ],
  ['affine', 'container', 'nf4', 'search'],
  ['block_tensor', 'calibrate', 'format'],
  ['analysis', 'qat'],
  ['bench', 'inference', 'recipe'],
  ['convert'],
  ['job'],
  ['fs', 'wasm'],
  ['lib'],
];

const crateLevelOf = (file: string): number =>
  CRATE.findIndex((level) => level.includes((file.split('/')[0] ?? '').replace(/\.rs$/, '')));

test('finds the paths of a use declaration', () => {
  expect(usedPaths('super::a::{self, b as c, d::{E, F}}')).toEqual([
    'super::a::self',
    'super::a::b',
    'super::a::d::E',
    'super::a::d::F',
  ]);
});

test('the crate has no circular uses', () => {
  const imports = rustImports();
  expect([...imports.values()].flat().length).toBeGreaterThan(300);
  // The root only lists the modules.
  imports.delete('lib.rs');
  expect(circles(imports)).toEqual([]);
});

test('every module of the crate has a level', () => {
  expect([...rustImports().keys()].filter((file) => crateLevelOf(file) < 0)).toEqual([]);
});

test('no file of the crate uses a module of a higher level', () => {
  const upward = [...rustImports()].flatMap(([file, names]) =>
    names.filter((name) => crateLevelOf(name) > crateLevelOf(file)).map((name) => `${file} -> ${name}`),
  );
  expect(upward).toEqual([]);
});
