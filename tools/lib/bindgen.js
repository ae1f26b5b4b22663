/** wasm-bindgen's tools in exactly the version of Cargo.lock: built from tools/wasm-tools, or taken from TOOLS_BIN. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { at, output, run } from './run.js';
import { say, Stop } from './say.js';

function version() {
  const lock = readFileSync(at('Cargo.lock'), 'utf8');
  return /name = "wasm-bindgen"\nversion = "([^"]+)"/.exec(lock)?.[1] ?? '';
}

/** @returns {Promise<string>} the path of wasm-bindgen */
export const wasmBindgen = () => pinned('wasm-bindgen', []);

/** @returns {Promise<string>} the path of wasm-bindgen-test-runner */
export const testRunner = () => pinned('wasm-bindgen-test-runner', ['--features', 'runner']);

/** @param {string} name @param {string[]} features */
async function pinned(name, features) {
  const wanted = `${name} ${version()}`;
  const built = at('tools', 'wasm-tools', 'target', 'release', name);
  const places = [...(process.env.TOOLS_BIN ? [join(process.env.TOOLS_BIN, name)] : []), built, name];
  for (const place of places) if (output(place, ['--version']) === wanted) return place;
  say(`building ${wanted}, once`);
  const args = ['build', '--locked', '--release', '--bin', name, ...features, '--target-dir', 'target', '--quiet'];
  await run('cargo', args, { cwd: at('tools', 'wasm-tools') });
  if (output(built, ['--version']) !== wanted) {
    throw new Stop(`tools/wasm-tools/Cargo.toml pins another version of wasm-bindgen than Cargo.lock's ${version()}`);
  }
  return built;
}
