/** The server side of files.ts: a Vite plugin that serves untransformed files and folder listings. */

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { Plugin } from 'vite';

const PREFIX = '/project-files/';

/** Files under `root`, for the tests' own server. */
export const serveFiles = (root: string): Plugin => ({
  name: 'project-files',
  configureServer: ({ middlewares }) => {
    middlewares.use((request, response, next) => {
      const path = new URL(request.url ?? '/', 'http://localhost').pathname;
      if (!path.startsWith(PREFIX)) return next();
      const file = join(root, decodeURIComponent(path.slice(PREFIX.length)));
      const stat = statSync(file, { throwIfNoEntry: false });
      if (!stat || relative(root, file).startsWith('..')) return void response.writeHead(404).end();
      response.writeHead(200, { 'content-type': 'application/octet-stream' });
      response.end(stat.isDirectory() ? JSON.stringify(readdirSync(file)) : readFileSync(file));
    });
  },
});
