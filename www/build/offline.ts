/** Writes the service worker of a build: it caches the built files, and its version is their digest. */

import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import type { Plugin } from 'vite';

/** Large, rarely used parts: cached after the first request. */
const LATER = /wllama/i;

export function offline(): Plugin {
  let root = '';
  let out = '';
  return {
    name: 'offline',
    apply: 'build',
    configResolved(config) {
      root = config.root;
      out = join(config.root, config.build.outDir);
    },
    // After everything is written, including public files.
    closeBundle: {
      order: 'post',
      handler() {
        const files = list(out).filter((file) => file !== 'sw.js' && !file.endsWith('.map'));
        const digest = createHash('sha256');
        for (const file of files) digest.update(`${file}\0`).update(readFileSync(join(out, file)));
        const source = readFileSync(join(root, 'build/sw.js'), 'utf8');
        digest.update(source);
        const values: Record<string, unknown> = {
          __VERSION__: digest.digest('hex').slice(0, 16),
          __FILES__: files.filter((file) => !LATER.test(file)),
        };
        writeFileSync(
          join(out, 'sw.js'),
          source.replace(/__(VERSION|FILES)__/g, (name) => JSON.stringify(values[name])),
        );
      },
    },
  };

  function list(folder: string): string[] {
    return readdirSync(folder)
      .sort()
      .flatMap((name) => {
        const path = join(folder, name);
        return statSync(path).isDirectory() ? list(path) : [relative(out, path).split(sep).join('/')];
      });
  }
}
