/** The package as npm would publish it: is it well-formed, are its types right, and is it as large as it was? */

import { readdirSync, rmSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { at, exitCode, npmBin } from './run.js';
import { step } from './steps.js';

const FOLDER = at('.cache', 'package');

/** Packs dist/ into .cache/package. @returns {Promise<string>} the path of the .tgz */
export async function pack() {
  rmSync(FOLDER, { recursive: true, force: true });
  mkdirSync(FOLDER, { recursive: true });
  // Without scripts: what is packed is what was built and tested.
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
      // The .wasm has no types: it is an address.
      const options = ['--profile', 'esm-only', '--exclude-entrypoints', 'quantpress.wasm', '--no-emoji'];
      return exitCode(npmBin('attw'), [await pack(), ...options]);
    },
  },
  step('package size', process.execPath, ['tools/size.js']),
];
