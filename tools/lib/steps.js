/** The steps of `npm test`: each has a name and returns a promise of an exit code. */

import { metered } from './cpu.js';
import { exitCode, npmBin } from './run.js';
import { say, Stop } from './say.js';

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

/**
 * A step of this program itself.
 * @param {string} name @param {() => Promise<unknown>} work throws a {@link Stop} if it fails
 * @returns {Step}
 */
export const ownStep = (name, work) => ({
  name,
  run: async () => {
    try {
      await work();
      return 0;
    } catch (error) {
      if (!(error instanceof Stop)) throw error;
      say(error.message);
      return 1;
    }
  },
});

/**
 * Steps that run in order.
 * @typedef {object} Chain
 * @property {Step[]} steps
 * @property {Chain} [after] a chain that must have succeeded before this one starts
 */

/** The number of chains that run concurrently: one per core of a small machine. */
const LANES = 2;

/**
 * Runs every step, even after one has failed, so that one run reports everything. Only what follows a failed chain is not
 * run, and counts as failed.
 * @param {Chain[]} chains each starts as soon as a lane is free and the chain it follows has ended, in this order
 * @param {Step[]} last steps that run alone after the chains; the summary of the last runner ends the output
 * @returns {Promise<boolean>} whether all steps passed
 */
export async function runSteps(chains, last) {
  /** @type {string[]} */
  const failed = [];
  const waiting = [...chains];
  /** @type {Map<Chain, boolean>} Whether a chain that has ended passed. */
  const ended = new Map();
  /** @type {(() => void)[]} */
  const idle = [];
  const lane = async () => {
    while (waiting.length > 0) {
      const next = waiting.findIndex(({ after }) => !after || ended.has(after));
      const [chain] = next < 0 ? [] : waiting.splice(next, 1);
      if (!chain) {
        await new Promise((/** @type {(value?: undefined) => void} */ resolve) => void idle.push(resolve));
        continue;
      }
      const possible = !chain.after || ended.get(chain.after) === true;
      if (!possible) failed.push(...chain.steps.map(({ name }) => `${name} (not run)`));
      ended.set(chain, possible && (await runChain(chain.steps, failed, true)));
      for (const resume of idle.splice(0)) resume();
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  await runChain(last, failed, false);
  if (failed.length > 0) say(`FAILED: ${failed.join(', ')}`);
  return failed.length === 0;
}

/** @param {Step[]} steps @param {string[]} failed @param {boolean} timed @returns {Promise<boolean>} whether all passed */
async function runChain(steps, failed, timed) {
  let passed = true;
  for (const { name, run } of steps) {
    say(`— ${name}`);
    const started = performance.now();
    const { result, seconds } = await metered(run);
    if (result !== 0) {
      failed.push(name);
      passed = false;
    }
    const cpu = seconds === undefined ? '' : ` (${Math.round(seconds)} s of processor time)`;
    if (timed) say(`${name}: ${Math.round((performance.now() - started) / 1000)} s${cpu}`);
  }
  return passed;
}
