/** The steps of `npm test`: each has a name and returns a promise of an exit code. */

import { exitCode, npmBin } from './run.js';
import { say } from './say.js';

/**
 * @typedef {object} Step
 * @property {string} name what it checks, for the reader of the log
 * @property {() => Promise<number>} run
 */

// Colours for a terminal, none elsewhere.
const env = process.stdout.isTTY ? {} : { NO_COLOR: '1', FORCE_COLOR: undefined, CARGO_TERM_COLOR: 'never' };

/**
 * A step that runs a program.
 * @param {string} name @param {string} program @param {string[]} args @param {Record<string, string>} [more]
 * @returns {Step}
 */
export const step = (name, program, args, more) => ({
  name,
  run: () => exitCode(program, args, { env: { ...env, ...more } }),
});

/**
 * A step that runs a program of an npm package.
 * @param {string} name @param {string} program @param {string[]} args @param {Record<string, string>} [more]
 */
export const npmStep = (name, program, args, more) => step(name, npmBin(program), args, more);

/** The number of chains that run concurrently: one per core of a small machine. */
const LANES = 2;

/**
 * Runs every step, even after one has failed, so that one run reports everything.
 * @param {Step[][]} chains the steps of each chain in order; chains start in order, as lanes become free
 * @param {Step[]} last steps that run alone after the chains; the summary of the last runner ends the output
 * @returns {Promise<boolean>} whether all steps passed
 */
export async function runSteps(chains, last) {
  /** @type {string[]} */
  const failed = [];
  const waiting = [...chains];
  const lane = async () => {
    for (let chain = waiting.shift(); chain; chain = waiting.shift()) await runChain(chain, failed, true);
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  await runChain(last, failed, false);
  if (failed.length > 0) say(`FAILED: ${failed.join(', ')}`);
  return failed.length === 0;
}

/** @param {Step[]} chain @param {string[]} failed @param {boolean} timed */
async function runChain(chain, failed, timed) {
  for (const { name, run } of chain) {
    say(`— ${name}`);
    const started = performance.now();
    if ((await run()) !== 0) failed.push(name);
    if (timed) say(`${name}: ${Math.round((performance.now() - started) / 1000)} s`);
  }
}
