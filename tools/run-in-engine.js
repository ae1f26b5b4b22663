#!/usr/bin/env node
/**
 * Cargo's runner for tests in a browser: `node tools/run-in-engine.js ENGINE RUNNER TEST.wasm`.
 *
 * RUNNER is wasm-bindgen-test-runner, which serves a page that runs the tests; this script opens the page in ENGINE and
 * reads the result. The runner can drive some browsers itself, but with programs that not every system has.
 */

import { spawn } from 'node:child_process';
import { openEngine } from './lib/engines.js';
import { say, Stop, tool } from './lib/say.js';
import { freePort } from './lib/webdriver.js';

/** The maximum duration of one test file on a busy machine. */
const PATIENCE_MS = 300_000;

/** The last line of the runner's page, with either outcome. */
const RESULT = /test result: (\w+)\. (\d+) passed.*/;

await tool(async () => {
  const [engine = '', runner = '', ...args] = process.argv.slice(2);
  const address = `127.0.0.1:${await freePort()}`;
  const env = { NO_HEADLESS: '1', WASM_BINDGEN_USE_BROWSER: '1', WASM_BINDGEN_TEST_ADDRESS: address };
  const server = spawn(runner, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'ignore', 'inherit'] });
  const ended = new Promise((_, reject) => {
    server.once('error', reject);
    server.once('exit', (code) => reject(new Stop(`${runner} ended with code ${code}: see above`)));
  });
  ended.catch(() => {}); // even if nothing awaits it
  const started = Date.now();
  /** @template T @param {() => Promise<T | undefined>} look @returns {Promise<T>} */
  const until = async (look) => {
    for (;;) {
      const seen = await Promise.race([look(), ended]);
      if (seen !== undefined) return /** @type {T} */ (seen);
      if (Date.now() - started > PATIENCE_MS) throw new Stop(`${engine}: no result in ${PATIENCE_MS / 1000} seconds`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  };
  const serves = () =>
    fetch(`http://${address}/`).then(
      ({ ok }) => ok || undefined,
      () => undefined, // not listening yet
    );
  try {
    await until(serves);
    const window = await openEngine(engine);
    try {
      await window.goto(`http://${address}/`);
      let said = '';
      const read = async () => {
        said = await window.text();
        return RESULT.exec(said) ?? undefined;
      };
      const result = await until(read).catch((error) => {
        say(said);
        throw error;
      });
      if (result[1] !== 'ok') say(said);
      say(`${engine}: ${result[0]}`);
      if (result[1] !== 'ok' || Number(result[2]) === 0) process.exitCode = 1;
    } finally {
      await window.close();
    }
  } finally {
    server.removeAllListeners('exit');
    server.kill();
  }
});
