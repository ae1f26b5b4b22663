/** WebKitGTK through its own driver: the subset of W3C WebDriver over HTTP needed to open and read a page. */

import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { say } from './say.js';

/** @typedef {import('./engines.js').Window} Window */

/**
 * Starts the driver, which starts the browser.
 * @param {import('./webkit.js').Driver} driver
 * @returns {Promise<Window>} the caller closes it
 */
export async function webDriver({ program, args }) {
  const port = await freePort();
  // A separate process group, so that the display and the browser end together with the driver.
  const child = spawn(program, [...args, `--port=${port}`], { detached: true, stdio: ['ignore', 'ignore', 'pipe'] });
  // Its output is only shown if something breaks. (Through a pipe, which is closed when this process ends.)
  child.stderr.pipe(process.stderr, { end: false });
  const ended = new Promise((_, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`${program} ended with code ${code}`)));
  });
  ended.catch(() => {}); // even if nothing awaits it
  /** @param {string} method @param {string} path @param {object} [body] */
  const ask = (method, path, body) => Promise.race([command(port, method, path, body), ended]);
  const stop = () => {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid);
  };
  try {
    const { sessionId } = await patiently(() => ask('POST', '/session', { capabilities: { alwaysMatch: {} } }));
    const session = `/session/${sessionId}`;
    return {
      goto: async (url) => void (await ask('POST', `${session}/url`, { url })),
      text: () => ask('POST', `${session}/execute/sync`, { script: 'return document.body.textContent', args: [] }),
      close: async () => {
        await ask('DELETE', session).catch((error) => say(`closing WebKitGTK: ${error.message}`));
        stop();
      },
    };
  } catch (error) {
    stop();
    throw error;
  }
}

/** @param {number} port @param {string} method @param {string} path @param {object} [body] */
async function command(port, method, path, body) {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method,
    ...(body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  });
  const { value } = /** @type {{ value: any }} */ (await response.json());
  if (!response.ok) throw new Error(`WebKitWebDriver: ${value?.error}: ${value?.message}`);
  return value;
}

/**
 * Retries until the driver listens, up to a minute on a busy machine; errors of the driver itself are thrown at once.
 * @template T @param {() => Promise<T>} attempt
 */
async function patiently(attempt) {
  for (let tries = 0; ; tries++) {
    try {
      return await attempt();
    } catch (error) {
      // `fetch` throws this if nothing listens.
      if (!(error instanceof TypeError) || tries === 300) throw error;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}

/** @returns {Promise<number>} */
export function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}
