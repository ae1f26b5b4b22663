/** The steps of `npm test`: each is a name and a promise of an exit code. */

import { exitCode, npmBin } from './run.js';
import { say } from './say.js';

/**
 * @typedef {object} Step
 * @property {string} name what it shows, for the person who reads the log
 * @property {() => Promise<number>} run
 */

// Summaries are read by people at a terminal and by machines elsewhere.
const env = process.stdout.isTTY ? {} : { NO_COLOR: '1', FORCE_COLOR: undefined, CARGO_TERM_COLOR: 'never' };

/**
 * A program as a step.
 * @param {string} name @param {string} program @param {string[]} args @param {Record<string, string>} [more]
 * @returns {Step}
 */
export const step = (name, program, args, more) => ({
  name,
  run: () => exitCode(program, args, { env: { ...env, ...more } }),
});

/**
 * A program of the npm packages as a step.
 * @param {string} name @param {string} program @param {string[]} args @param {Record<string, string>} [more]
 */
export const npmStep = (name, program, args, more) => step(name, npmBin(program), args, more);

/**
 * Runs every step, also after one has failed: one run tells everything. Each step's line says how long the one before it
 * took; the last step's own summary says that of itself.
 * @param {Step[]} steps
 * @returns {Promise<boolean>} whether all of them passed
 */
export async function runSteps(steps) {
  const failed = [];
  let before = '';
  for (const { name, run } of steps) {
    say(`— ${name}${before}`);
    const started = performance.now();
    if ((await run()) !== 0) failed.push(name);
    before = ` (${name}: ${Math.round((performance.now() - started) / 1000)} s)`;
  }
  if (failed.length > 0) say(`FAILED: ${failed.join(', ')}`);
  return failed.length === 0;
}
