/** The packages that the project's files import, and the packages that are declared as dependencies. */

import { readdirSync, readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join } from 'node:path';
import { at } from './run.js';

/** Folders with code, and the package.json files that declare their imports. A folder's own package.json is added. */
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

/** The package's own name, and the names of its entries in a page's import map or another package's bundler. */
const SELF = /^quantpress(\/|$)/;

/**
 * Import declarations, re-exports, `import()` also in types, `require()`; does not match templates that generate code.
 */
const IMPORT = /(?:\bfrom|\bimport|\bimport\(|\brequire\(|\bimportActual\()\s*['"]([^'"${}\s]+)['"]/g;

/** @typedef {{ file: string, name: string }} BareImport a file, and the package that it imports */

/**
 * Every package import in the files of a folder, except Node's builtin modules and the project's own name.
 * @param {string} folder
 * @returns {BareImport[]}
 */
export function bareImports(folder) {
  return sourceFiles(folder).flatMap((file) =>
    packagesIn(readFileSync(at(file), 'utf8')).map((name) => ({ file, name })),
  );
}

/** The packages that a source text imports. @param {string} text @returns {string[]} */
export function packagesIn(text) {
  return [...text.matchAll(IMPORT)]
    .map(([, specifier = '']) => specifier)
    .filter((specifier) => !/^[./]|:|\.(js|rs|wasm)$/.test(specifier) && !SELF.test(specifier))
    .map((specifier) => specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/'))
    .filter((name) => !builtinModules.includes(name));
}

/**
 * The files of the project that a file imports, including types.
 * @param {string} file from the project's root @returns {string[]}
 */
export function relativeImports(file) {
  const found = [...readFileSync(at(file), 'utf8').matchAll(IMPORT)]
    .map(([, specifier = '']) => specifier)
    .filter((specifier) => specifier.startsWith('.'))
    .map((specifier) => join(dirname(file), specifier).replace(/\.js$/, '.ts'));
  return [...new Set(found)];
}

/** @param {string} folder @returns {string[]} its source files, without installed or built ones */
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
 * Imports of packages that no package.json declares; these are only present because another package needs them. The
 * package itself (js/) must not import any.
 * @returns {BareImport[]}
 */
export function undeclaredImports() {
  const root = declared('package.json');
  const workspaces = JSON.parse(readFileSync(at('package.json'), 'utf8')).workspaces;
  return Object.entries(OWNERS).flatMap(([folder, owner]) =>
    bareImports(folder).filter(({ file, name }) => {
      if (owner === 'runtime') return true;
      // From a workspace in a parent or neighbouring folder: tests/package uses the tools of tests/package/tools.
      const near = workspaces.filter((/** @type {string} */ path) => file.startsWith(path.replace(/\/tools$/, '')));
      return ![root, ...near.map((/** @type {string} */ path) => declared(join(path, 'package.json')))]
        .flat()
        .includes(name);
    }),
  );
}
