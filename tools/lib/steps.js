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
 * Runs every step, also after one has failed: one run tells everything.
 * @param {Step[][][]} stages one after the other; the lanes of a stage run at the same time, each in its order
 * @returns {Promise<boolean>} whether all of them passed
 */
export async function runStages(stages) {
  /** @type {string[]} */
  const failed = [];
  for (const lanes of stages) {
    // The last runner's summary closes the output.
    const quiet = lanes === stages.at(-1);
    await Promise.all(lanes.map((lane) => runLane(lane, failed, quiet)));
  }
  if (failed.length > 0) say(`FAILED: ${failed.join(', ')}`);
  return failed.length === 0;
}

/** @param {Step[]} lane @param {string[]} failed @param {boolean} quiet */
async function runLane(lane, failed, quiet) {
  for (const { name, run } of lane) {
    say(`— ${name}`);
    const started = performance.now();
    if ((await run()) !== 0) failed.push(name);
    if (!quiet) say(`${name}: ${Math.round((performance.now() - started) / 1000)} s`);
  }
}
