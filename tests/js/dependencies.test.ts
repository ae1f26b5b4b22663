/** Imports are declared, and shipped parts have permitted licences and are named. */

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { bareImports, packagesIn, undeclaredImports } from '../../tools/lib/imports.js';
import { crates, playgroundPackages, satisfies, withLists } from '../../tools/lib/licences.js';

test('every package that is imported is declared by the package.json that owns the file', () => {
  expect(undeclaredImports()).toEqual([]);
  expect(new Set(bareImports('tests').map(({ name }) => name))).toContain('vitest');
});

test('the package has no dependencies', () => {
  expect(bareImports('js')).toEqual([]);
  const { dependencies, peerDependencies, scripts } = JSON.parse(readFileSync('package.json', 'utf8'));
  expect([dependencies, peerDependencies]).toEqual([undefined, undefined]);
  for (const hook of ['preinstall', 'install', 'postinstall', 'prepare']) expect(scripts).not.toHaveProperty(hook);
});

// Quotes are written as ^ here, because the test also reads this file.
test.each([
  ['import a from ^one^', ['one']],
  ['import type { A } from ^@scope/two/deep^;\nexport * from ^three^', ['@scope/two', 'three']],
  ['await import(^four^); require(^five/x^); import ^six^', ['four', 'five', 'six']],
  ['/** @type {import(^seven^).Type} */', ['seven']],
  ['import ^node:fs^; import ^fs^; import ^./a.js^; import ^quantpress/slim^; import(name)', []],
])('imports are found in %s', (text, names) => {
  expect(packagesIn(text.replaceAll('^', "'"))).toEqual(names);
});

test.each([
  ['MIT OR Apache-2.0', true],
  ['(MIT OR Apache-2.0) AND Unicode-3.0', true],
  ['MIT AND GPL-3.0', false],
  ['GPL-3.0 OR MIT', true],
  ['Unlicense/MIT', true],
  ['LGPL-3.0-only', false],
  ['', false],
])('the licence %s', (expression, may) => {
  expect(satisfies(expression)).toBe(may);
});

test('everything shipped has a permissive licence and is named in NOTICE (npm run notice writes it)', () => {
  const parts = [...crates(), ...playgroundPackages()];
  expect(parts.map(({ name }) => name)).toEqual(expect.arrayContaining(['wasm-bindgen', 'serde', 'preact']));
  expect(parts.filter(({ licence }) => !satisfies(licence))).toEqual([]);
  const notice = readFileSync('NOTICE', 'utf8');
  expect(notice).toBe(withLists(notice));
});

test('the lock file of the fuzz targets is up to date', () => {
  // No test builds the fuzz targets, so without this their lock file could become outdated.
  expect(() =>
    execFileSync('cargo', ['metadata', '--locked', '--format-version', '1'], { cwd: 'fuzz', stdio: 'pipe' }),
  ).not.toThrow();
});
