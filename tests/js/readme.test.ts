/** The README's example runs, and the guide's table of formats is the engine's. */

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { formats, init } from 'quantpress';
import { beforeAll, expect, test } from 'vitest';
import { example, printed } from '../package/support/example.js';
import { formatTable, withFormatTable } from '../../tools/lib/format-table.js';

const page = readFileSync('docs/formats-and-how-to-choose.md', 'utf8');

beforeAll(() => init());

test("the guide's table of formats equals the engine's (npm run readme writes it)", () => {
  expect(page).toBe(withFormatTable(page, formatTable(formats())));
});

test('the ten lines of the README run unchanged', () => {
  expect(example).toContain('quantpress');
  // Inside the package its own name resolves through its exports.
  const file = '.cache/readme-example.mjs';
  writeFileSync(file, example);
  const output = execFileSync(process.execPath, [file], { encoding: 'utf8' });
  expect(output.trim()).toMatch(printed);
});
