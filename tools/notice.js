#!/usr/bin/env node
/** `npm run notice`: writes the lists of what is shipped into NOTICE. A test compares. */

import { readFileSync, writeFileSync } from 'node:fs';
import { withLists } from './lib/licences.js';
import { at } from './lib/run.js';
import { tool } from './lib/say.js';

await tool(async () => {
  const file = at('NOTICE');
  writeFileSync(file, withLists(readFileSync(file, 'utf8')));
});
