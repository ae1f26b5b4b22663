/** Runs other programs from the root of the project. */

import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { meterChild } from './cpu.js';
import { Stop } from './say.js';

/** The root of the project. */
export const root = fileURLToPath(new URL('../..', import.meta.url)).replace(/[\\/]$/, '');

/** @param {string[]} parts */
export const at = (...parts) => join(root, ...parts);

/** A program of `node_modules/.bin`. @param {string} name */
export const npmBin = (name) => at('node_modules', '.bin', name);

/**
 * @typedef {object} RunOptions
 * @property {string} [cwd]
 * @property {Record<string, string | undefined>} [env] added to the environment; `undefined` removes a variable
 */

/** @param {RunOptions} options */
const settings = ({ cwd = root, env = {} }) => ({ cwd, env: { ...process.env, ...env } });

/**
 * Runs a program with its output shown. Resolves to the exit code.
 * @param {string} program @param {string[]} args @param {RunOptions} [options]
 * @returns {Promise<number>}
 */
export function exitCode(program, args, options = {}) {
  return new Promise((resolve) => {
    const child = spawn(program, args, { ...settings(options), stdio: 'inherit' });
    child.on('exit', meterChild());
    child.on('error', (error) => {
      process.stderr.write(`${error.message}\n`);
      resolve(127);
    });
    child.on('close', (code, signal) => resolve(signal ? 128 : (code ?? 1)));
  });
}

/**
 * {@link exitCode}, but failure is an error.
 * @param {string} program @param {string[]} args @param {RunOptions} [options]
 */
export async function run(program, args, options = {}) {
  const code = await exitCode(program, args, options);
  if (code !== 0) throw new Stop(`'${[program, ...args].join(' ')}' failed (exit code ${code}): see above`);
}

/**
 * The output of a program, or `undefined` if it does not exist, fails or takes too long.
 * @param {string} program @param {string[]} args @param {RunOptions & { seconds?: number }} [options]
 * @returns {string | undefined}
 */
export function output(program, args, options = {}) {
  const limit = options.seconds
    ? { timeout: options.seconds * 1000, killSignal: /** @type {const} */ ('SIGKILL') }
    : {};
  const ended = meterChild();
  const result = spawnSync(program, args, {
    ...settings(options),
    ...limit,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  ended();
  return result.status === 0 ? result.stdout.trim() : undefined;
}

/** The first of several programs found in PATH. @param {...string} names @returns {string | undefined} */
export function which(...names) {
  for (const name of names) {
    for (const folder of (process.env.PATH ?? '').split(delimiter)) {
      if (isProgram(join(folder, name))) return join(folder, name);
    }
  }
  return undefined;
}

/** @param {string} path */
export function isProgram(path) {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** Whether Debian packages can be installed here without asking. */
export const isDebianRoot = () => process.getuid?.() === 0 && which('apt-get') !== undefined;

/**
 * Installs Debian packages; requires root.
 * @param {string[]} packages
 */
export async function aptInstall(packages) {
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  const wait = ['-o', 'DPkg::Lock::Timeout=300'];
  await exitCode('apt-get', ['update', '-qq', ...wait], { env });
  return exitCode('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...wait, ...packages], { env });
}
