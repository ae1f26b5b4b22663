/**
 * An installed WebKitGTK, the engine without OPFS and SharedArrayBuffer: its driver starts its own browser. Set
 * WEBKITDRIVER to use another driver. It exists on Linux only; elsewhere its tests report that they cannot run.
 */

import { aptInstall, isDebianRoot, isProgram, which } from './run.js';
import { say, Stop } from './say.js';

/**
 * How to start the driver, with a virtual display if there is none.
 * @typedef {object} Driver
 * @property {string} program @property {string[]} args arguments before its own
 */

/** @returns {Promise<Driver | undefined>} nothing if the system has no WebKitGTK */
export async function webkitDriver() {
  if (process.platform !== 'linux') return undefined;
  const found = find() ?? ((await install()) ? find() : undefined);
  if (found) return found;
  throw new Stop(
    'the tests also need WebKitGTK: install webkit2gtk-driver and xvfb, or set WEBKITDRIVER to the path of the driver',
  );
}

/** @returns {Driver | undefined} */
function find() {
  const named = process.env.WEBKITDRIVER;
  if (named && !isProgram(named)) throw new Stop(`WEBKITDRIVER is ${named}, which is not an executable`);
  const driver = named ?? which('WebKitWebDriver');
  if (!driver) return undefined;
  if (process.env.DISPLAY || process.env.WAYLAND_DISPLAY) return { program: driver, args: [] };
  const screen = which('xvfb-run');
  return screen ? { program: screen, args: ['-a', driver] } : undefined;
}

async function install() {
  if (!isDebianRoot()) return false;
  say("installing Debian's webkit2gtk-driver, xvfb and xauth");
  return (await aptInstall(['webkit2gtk-driver', 'xvfb', 'xauth'])) === 0;
}
