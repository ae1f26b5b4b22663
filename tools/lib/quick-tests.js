/** The tests in Node that `npm run test:quick` runs: those that run no other program and load no reference library. */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { relativeImports } from './imports.js';
import { at } from './run.js';

const FOLDER = join('tests', 'js');

/** Starting a process, or loading ggml's library. */
const OTHERS = /['"]node:child_process['"]|['"]koffi['"]/;

/** @returns {string[]} the paths of the test files */
export function quickTests() {
  const tests = readdirSync(at(FOLDER)).filter((name) => name.endsWith('.test.ts'));
  return tests.map((name) => join(FOLDER, name)).filter((file) => !usesOthers(file, new Set()));
}

/**
 * Whether a file of the tests, or one that it imports, runs other programs.
 * @param {string} file @param {Set<string>} seen @returns {boolean}
 */
function usesOthers(file, seen) {
  if (seen.has(file) || !file.startsWith('tests') || !existsSync(at(file))) return false;
  seen.add(file);
  if (OTHERS.test(readFileSync(at(file), 'utf8'))) return true;
  return relativeImports(file).some((name) => usesOthers(name, seen));
}
