/** What the project's files import from packages, and which packages are declared to be there. */

import { readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join } from 'node:path';
import { at } from './run.js';

/** Where code is, and whose package.json answers for what it imports. A folder's own one is added to them. */
const OWNERS = /** @type {const} */ ({
  js: 'runtime',
  www: 'package.json',
  tools: 'package.json',
  tests: 'package.json',
  benches: 'package.json',
  examples: 'package.json',
  fuzz: 'package.json',
  'vitest.config.ts': 'package.json',
});

/** The package's own name, and the names under which a page's import map or another's bundler knows its entries. */
const SELF = /^quantpress(\/|$)/;

/** Import declarations, re-exports, `import()` also in types, `require()`; no pattern that templates write code with. */
const IMPORT = /(?:\bfrom|\bimport|\bimport\(|\brequire\(|\bimportActual\()\s*['"]([^'"${}\s]+)['"]/g;

/** @typedef {{ file: string, name: string }} BareImport a file, and the package it imports from */

/**
 * Every import from a package in the files of a folder; builtin modules of Node's and the project's own name are none.
 * @param {string} folder
 * @returns {BareImport[]}
 */
export function bareImports(folder) {
  return sourceFiles(folder).flatMap((file) =>
    packagesIn(readFileSync(at(file), 'utf8')).map((name) => ({ file, name })),
  );
}

/** The packages that a text of code imports from. @param {string} text @returns {string[]} */
export function packagesIn(text) {
  return [...text.matchAll(IMPORT)]
    .map(([, specifier = '']) => specifier)
    .filter((specifier) => !/^[./]|:|\.(js|rs|wasm)$/.test(specifier) && !SELF.test(specifier))
    .map((specifier) => specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/'))
    .filter((name) => !builtinModules.includes(name));
}

/**
 * Which files of the project a file imports, types too.
 * @param {string} file from the project's root @returns {string[]}
 */
export function relativeImports(file) {
  const found = [...readFileSync(at(file), 'utf8').matchAll(IMPORT)]
    .map(([, specifier = '']) => specifier)
    .filter((specifier) => specifier.startsWith('.'))
    .map((specifier) => join(dirname(file), specifier).replace(/\.js$/, '.ts'));
  return [...new Set(found)];
}

/** @param {string} folder @returns {string[]} its files with code, without what was installed or built */
export function sourceFiles(folder) {
  if (folder.endsWith('.ts')) return [folder];
  return readdirSync(at(folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return /^(node_modules|dist|target|work)$/.test(entry.name) ? [] : sourceFiles(path);
    return /\.(ts|tsx|js|mjs|html)$/.test(entry.name) ? [path] : [];
  });
}

/** @param {string} path @returns {string[]} the packages that a package.json declares */
function declared(path) {
  const { dependencies, devDependencies, optionalDependencies } = JSON.parse(readFileSync(at(path), 'utf8'));
  return Object.keys({ ...dependencies, ...devDependencies, ...optionalDependencies });
}

/**
 * Imports from packages that no package.json declares: such a package is there by accident, because another one needs it.
 * The package itself (js/) may import from none.
 * @returns {BareImport[]}
 */
export function undeclaredImports() {
  const root = declared('package.json');
  const workspaces = JSON.parse(readFileSync(at('package.json'), 'utf8')).workspaces;
  return Object.entries(OWNERS).flatMap(([folder, owner]) =>
    bareImports(folder).filter(({ file, name }) => {
      if (owner === 'runtime') return true;
      // Of a workspace in a folder above, or beside it: tests/package uses the tools of tests/package/tools.
      const near = workspaces.filter((/** @type {string} */ path) => file.startsWith(path.replace(/\/tools$/, '')));
      return ![root, ...near.map((/** @type {string} */ path) => declared(join(path, 'package.json')))]
        .flat()
        .includes(name);
    }),
  );
}
