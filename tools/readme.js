#!/usr/bin/env node
/** `npm run readme`: updates the table of formats in the guide from the engine. A test checks it. */

import { readFileSync, writeFileSync } from 'node:fs';
import { formatTable, withFormatTable } from './lib/format-table.js';
import { at } from './lib/run.js';
import { tool } from './lib/say.js';

await tool(async () => {
  const { formats, init } = await import('quantpress');
  await init();
  const file = at('docs', 'formats-and-how-to-choose.md');
  writeFileSync(file, withFormatTable(readFileSync(file, 'utf8'), formatTable(formats())));
});
