import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { expect, test } from 'vitest';

const examples = readdirSync('examples').filter((name) => name.endsWith('.mjs'));

test.each(examples)('examples/%s runs successfully', (name) => {
  const output = execFileSync(process.execPath, [`examples/${name}`], { encoding: 'utf8' });
  expect(output.split('\n').length).toBeGreaterThan(3);
  expect(output).not.toMatch(/NaN|undefined/);
});

test('there is at least one example', () => {
  expect(examples.length).toBeGreaterThan(0);
});
