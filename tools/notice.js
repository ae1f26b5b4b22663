#!/usr/bin/env node
/** `npm run notice`: updates the lists of shipped parts in NOTICE. A test checks them. */

import { readFileSync, writeFileSync } from 'node:fs';
import { withLists } from './lib/licences.js';
import { at } from './lib/run.js';
import { tool } from './lib/say.js';

await tool(async () => {
  const file = at('NOTICE');
  writeFileSync(file, withLists(readFileSync(file, 'utf8')));
});
