/** The licences of what is shipped: the crates in the engine, and the packages in the playground. */

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { bareImports } from './imports.js';
import { at, output } from './run.js';
import { TARGET } from './rust.js';
import { Stop } from './say.js';

/** Licences that only require naming them, with their authors, in NOTICE. */
const ALLOWED = ['MIT', 'Apache-2.0', 'BSL-1.0', 'BSD-2-Clause', 'BSD-3-Clause', 'Unicode-3.0', 'Unlicense', 'Zlib'];

/** Given a choice, the first of these is used: neither requires naming the authors of a binary. */
const PREFERRED = ['Apache-2.0', 'BSL-1.0'];

/**
 * @typedef {{ name: string, licence: string, authors: string[] }} Part a shipped part; with authors if they must be
 * named
 */

/** Whether a licence expression can be satisfied from a list. @param {string} expression @param {string[]} list @returns {boolean} */
export function satisfies(expression, list = ALLOWED) {
  const words = expression.replaceAll('/', ' OR ').match(/[()]|[^\s()]+/g) ?? [];
  /** @returns {boolean} */
  const either = () => {
    let holds = both();
    while (words[0] === 'OR') {
      words.shift();
      holds = both() || holds;
    }
    return holds;
  };
  /** @returns {boolean} */
  const both = () => {
    let holds = one();
    while (words[0] === 'AND') {
      words.shift();
      holds = one() && holds;
    }
    return holds;
  };
  /** @returns {boolean} */
  const one = () => {
    const word = words.shift() ?? '';
    if (word !== '(') return list.includes(word);
    const holds = either();
    words.shift();
    return holds;
  };
  return either() && words.length === 0;
}

/** The crates that are compiled into the engine. @returns {Part[]} */
export function crates() {
  const text = output('cargo', [
    'metadata',
    '--format-version',
    '1',
    '--locked',
    '--filter-platform',
    TARGET,
    '--features',
    'bindings',
  ]);
  if (!text) throw new Stop("'cargo metadata' failed: does Cargo.lock match Cargo.toml?");
  const { packages, resolve } = JSON.parse(text);
  const byId = new Map(packages.map((/** @type {{ id: string }} */ entry) => [entry.id, entry]));
  const nodes = new Map(resolve.nodes.map((/** @type {{ id: string }} */ node) => [node.id, node]));
  const found = new Set();
  const visit = (/** @type {string} */ id) => {
    const { targets } = byId.get(id);
    const macro = targets.some((/** @type {{ kind: string[] }} */ { kind }) => kind.includes('proc-macro'));
    if (found.has(id) || macro) return; // a macro runs in the compiler
    found.add(id);
    for (const { pkg, dep_kinds } of nodes.get(id).deps) {
      if (dep_kinds.some((/** @type {{ kind: string | null }} */ { kind }) => kind === null)) visit(pkg);
    }
  };
  visit(resolve.root);
  found.delete(resolve.root);
  const parts = [...found].map((id) => {
    const { name, license, manifest_path } = byId.get(id);
    return part(name, license ?? 'none', dirname(manifest_path));
  });
  return sorted(parts);
}

/** The npm packages that are bundled into the playground, with their dependencies. @returns {Part[]} */
export function playgroundPackages() {
  const lock = JSON.parse(readFileSync(at('package-lock.json'), 'utf8')).packages;
  const found = new Set();
  const visit = (/** @type {string} */ name) => {
    if (found.has(name)) return;
    found.add(name);
    for (const other of Object.keys(lock[`node_modules/${name}`]?.dependencies ?? {})) visit(other);
  };
  for (const { name } of bareImports(join('www', 'src'))) visit(name);
  const parts = [...found].map((name) =>
    part(name, lock[`node_modules/${name}`]?.license ?? 'none', at('node_modules', name)),
  );
  return sorted(parts);
}

/** @param {Part[]} parts */
const sorted = (parts) => parts.sort((a, b) => (a.name < b.name ? -1 : 1));

/** @param {string} name @param {string} licence @param {string} folder @returns {Part} */
function part(name, licence, folder) {
  return { name, licence, authors: satisfies(licence, PREFERRED) ? [] : copyright(folder) };
}

/** The copyright lines of the licence files in a folder. @param {string} folder @returns {string[]} */
function copyright(folder) {
  const files = readdirSync(folder).filter((name) => /^(LICEN[SC]E|COPYING)/i.test(name) && !/apache/i.test(name));
  const lines = files.flatMap((name) => readFileSync(join(folder, name), 'utf8').split('\n'));
  return [...new Set(lines.map((line) => line.trim()).filter((line) => /^Copyright (©|\(c\)|[0-9])/i.test(line)))];
}

const [BEGIN, END] = [
  'The WebAssembly module contains compiled Rust crates',
  '\n\nNot in the package, but in its repository',
];

/** NOTICE with its two lists updated. @param {string} notice */
export function withLists(notice) {
  const [begin, end] = [notice.indexOf(BEGIN), notice.indexOf(END)];
  if (begin < 0 || end < begin) throw new Stop('NOTICE has no place for its lists');
  const list = (/** @type {Part[]} */ parts) =>
    parts
      .flatMap(({ name, licence, authors }) => [
        `  ${name.padEnd(24)}${licence}`,
        ...authors.map((line) => `      ${line}`),
      ])
      .join('\n');
  const section = `${BEGIN}, including the Rust standard library
(MIT OR Apache-2.0). Given a choice, we use Apache-2.0 (LICENSE-APACHE). Some are used only at compile time.

${list(crates())}

The playground's page contains these npm packages, under the MIT licence above:

${list(playgroundPackages())}`;
  return notice.slice(0, begin) + section + notice.slice(end);
}
