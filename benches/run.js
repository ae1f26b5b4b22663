#!/usr/bin/env node
/**
 * `npm run bench [codecs | seed | files | start | mix | playground]`: runs all benchmarks, or the named ones, and
 * records the results in `benches/results/`. All of them take about a quarter of an hour on an otherwise idle machine.
 */

import { run, at } from '../tools/lib/run.js';
import { buildEngine } from '../tools/lib/engine.js';
import { buildJavaScript } from '../tools/lib/javascript.js';
import { buildPlayground } from '../tools/lib/playground.js';
import { ensurePackages } from '../tools/lib/packages.js';
import { Stop, tool } from '../tools/lib/say.js';

const ALL = ['start', 'codecs', 'seed', 'files', 'mix', 'playground'];

await tool(async () => {
  const names = process.argv.slice(2);
  const unknown = names.find((name) => !ALL.includes(name));
  if (unknown !== undefined) throw new Stop(`there is no bench '${unknown}'; there are ${ALL.join(', ')}`);
  await ensurePackages();
  await buildEngine('release');
  await buildJavaScript();
  await buildPlayground();
  for (const name of names.length > 0 ? names : ALL) {
    await run(process.execPath, [at('benches', `${name}.js`), '--record']);
  }
});
