#!/usr/bin/env node
/** `npm start`: builds everything and serves the playground. PORT sets the port. */

import { buildEngine } from './lib/engine.js';
import { buildJavaScript } from './lib/javascript.js';
import { ensurePackages } from './lib/packages.js';
import { buildPlayground, servePlayground } from './lib/playground.js';
import { say, tool } from './lib/say.js';

await tool(async () => {
  await ensurePackages();
  await buildEngine('release');
  await buildJavaScript();
  await buildPlayground();
  const url = await servePlayground(Number(process.env.PORT ?? 4173));
  say(`the playground is at ${url} (Ctrl+C to stop)`);
});
