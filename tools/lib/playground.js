/** Builds the playground from www/ to www/dist/, and serves it. */

import { at } from './run.js';
import { say, Stop } from './say.js';
import { digest, once } from './stamp.js';

const INPUTS = [
  'www/index.html',
  'www/src',
  'www/build',
  'www/public',
  'www/vite.config.ts',
  'dist',
  'package-lock.json',
];

/** Builds the playground, unless it is up to date. */
export async function buildPlayground() {
  return once('playground', digest(INPUTS), ['www/dist/index.html'], async () => {
    say('building the playground');
    const { build } = await import('vite');
    await build({ root: at('www'), logLevel: 'warn' });
  });
}

/**
 * Serves the build.
 * @param {number} port 0 for any
 * @returns {Promise<string>} the URL
 */
export async function servePlayground(port) {
  const { preview } = await import('vite');
  try {
    const server = await preview({ root: at('www'), logLevel: 'warn', preview: { port, strictPort: true } });
    return server.resolvedUrls?.local[0] ?? `http://localhost:${port}/`;
  } catch (error) {
    if (error instanceof Error && /already in use/.test(error.message)) {
      throw new Stop(`port ${port} is in use: set PORT to another one`);
    }
    throw error;
  }
}
