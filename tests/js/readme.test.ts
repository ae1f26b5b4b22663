/** The README is code as well: its example runs, its table is the engine's. */

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { formats, init } from 'quantpress';
import { beforeAll, expect, test } from 'vitest';
import { formatTable, withFormatTable } from '../../tools/lib/format-table.js';

const readme = readFileSync('README.md', 'utf8');

beforeAll(() => init());

test("the table of formats is the engine's (npm run readme writes it)", () => {
  expect(readme).toBe(withFormatTable(readme, formatTable(formats())));
});

test('the ten lines run as they stand', () => {
  const example = /<!-- example -->\n```js\n([\s\S]+?)```/.exec(readme)?.[1] ?? '';
  expect(example).toContain('quantpress');
  // Inside the package its own name resolves, through its exports.
  const file = '.cache/readme-example.mjs';
  writeFileSync(file, example);
  const printed = execFileSync(process.execPath, [file], { encoding: 'utf8' });
  expect(printed).toMatch(/^2304 bytes, 4\.5 bits per weight, largest error 0\.00\d\d\n$/);
});
