/** docs/guarantees.md names a test for each guarantee: every file and title in it exists. */

import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const rows = readFileSync('docs/guarantees.md', 'utf8')
  .split('\n')
  .map((line) => /^\| .* \| `(tests\/[^`]+)`(?:: "([^"]+)")? \|$/.exec(line))
  .filter((row) => row !== null);

test('every row of the table is parsed', () => {
  const lines = readFileSync('docs/guarantees.md', 'utf8').split('\n');
  expect(rows.length).toBe(lines.filter((line) => /^\| (?!guarantee \|)/.test(line)).length);
  expect(rows.length).toBeGreaterThan(30);
});

test.each(rows.map(([, file = '', title]) => [file, title] as const))(
  '%s exists and contains the test: %s',
  (file, title) => {
    expect(existsSync(file), file).toBe(true);
    if (title !== undefined) expect(readFileSync(file, 'utf8')).toContain(title);
  },
);
