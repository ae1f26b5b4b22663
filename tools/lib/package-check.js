/**
 * Checks the package as npm would publish it: whether it is well-formed, its types are correct, and its size is
 * unchanged.
 */

import { readdirSync, rmSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { MODULES } from './engine.js';
import { at, exitCode, npmBin } from './run.js';
import { step } from './steps.js';

const FOLDER = at('.cache', 'package');

/** Packs dist/ into .cache/package. @returns {Promise<string>} the path of the .tgz */
export async function pack() {
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER, { recursive: true });
  // Without scripts, so that exactly what was built and tested is packed.
  await exitCode('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', FOLDER]);
  const [name] = readdirSync(FOLDER);
  if (!name) throw new Error('npm pack wrote nothing');
  return join(FOLDER, name);
}

/** @returns {import('./steps.js').Step[]} */
export const packageSteps = () => [
  { name: 'package lint', run: async () => exitCode(npmBin('publint'), ['run', await pack(), '--strict']) },
  {
    name: 'package types',
    run: async () => {
      // The .wasm files have no types: they are asset URLs.
      const options = [
        '--profile',
        'esm-only',
        '--exclude-entrypoints',
        ...MODULES.map(({ file }) => file),
        '--no-emoji',
      ];
      return exitCode(npmBin('attw'), [await pack(), ...options]);
    },
  },
  step('package size', process.execPath, ['tools/size.js']),
];
