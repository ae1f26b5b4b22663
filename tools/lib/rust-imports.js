/** The dependencies between the files of the crate, from `use` declarations and from paths in the code. */

import { readdirSync, readFileSync } from 'node:fs';
import { at } from './run.js';

/** The module path of a file. @param {string} file below src @returns {string[]} */
const moduleOf = (file) => {
  const parts = file.replace(/\.rs$/, '').split('/');
  return ['mod', 'lib'].includes(parts.at(-1) ?? '') ? parts.slice(0, -1) : parts;
};

/**
 * The paths of a `use` declaration, with braces expanded.
 * @param {string} text @param {string} [prefix] @returns {string[]}
 */
export function usedPaths(text, prefix = '') {
  const open = text.indexOf('{');
  if (open < 0) return [prefix + text.replace(/\s+as\s+\w+/, '').trim()];
  const head = prefix + text.slice(0, open).trim();
  /** @type {string[]} */
  const items = [''];
  let depth = 0;
  for (const character of text.slice(open)) {
    if (character === '}') depth--;
    if (character === ',' && depth === 1) items.push('');
    else if (depth > 0) items[items.length - 1] += character;
    if (character === '{') depth++;
  }
  return items.filter((item) => item.trim()).flatMap((item) => usedPaths(item.trim(), head));
}

/**
 * Each file below src with the files it uses, not counting its tests.
 * @returns {Map<string, string[]>}
 */
export function rustImports() {
  const files = readdirSync(at('src'), { encoding: 'utf8', recursive: true })
    .map((file) => file.replaceAll('\\', '/'))
    .filter((file) => file.endsWith('.rs'));
  const byModule = new Map(files.map((file) => [moduleOf(file).join('::'), file]));
  /** @param {string[]} path @returns {string | undefined} */
  const fileOf = (path) => {
    for (let length = path.length; length > 0; length--) {
      const found = byModule.get(path.slice(0, length).join('::'));
      if (found) return found;
    }
    return undefined;
  };
  return new Map(
    files.map((file) => {
      const own = moduleOf(file);
      const paths = pathsOf(readFileSync(at('src', file), 'utf8'));
      const used = paths.flatMap((path) => fileOf(resolve(path.split('::'), own, byModule)) ?? []);
      return [file, [...new Set(used)].filter((name) => name !== file)];
    }),
  );
}

/** @param {string} source @returns {string[]} */
function pathsOf(source) {
  const code = source
    .replace(/\/\/.*$/gm, '')
    .replace(/^#\[cfg\(test\)\][\s\S]*$/m, '')
    .replace(/\bpub\([^)]*\)/g, 'pub');
  const declaration = /^\s*(?:pub )?use ([^;]+);/gm;
  const declared = [...code.matchAll(declaration)].flatMap(([, tree = '']) => usedPaths(tree.replace(/\s+/g, ' ')));
  const named = code.replace(declaration, '').match(/\b(?:crate|super)(?:::\w+)+/g) ?? [];
  return [...declared, ...named];
}

/**
 * A path relative to the crate's root; empty if it leads out of the crate.
 * @param {string[]} path @param {string[]} own @param {ReadonlyMap<string, string>} byModule @returns {string[]}
 */
function resolve(path, own, byModule) {
  const [first = '', ...rest] = path;
  if (first === 'crate') return rest;
  if (first === 'self') return [...own, ...rest];
  let ups = 0;
  while (path[ups] === 'super') ups++;
  if (ups > 0) return [...own.slice(0, own.length - ups), ...path.slice(ups)];
  return byModule.has([...own, first].join('::')) ? [...own, ...path] : [];
}
