/** Browser tests wait for what they check, so that none depends on the speed of the machine. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const FOLDERS = ['tests/browser', 'tests/browser/support', 'tests/engines', 'tests/engines/support'];

/** Patterns that they must not contain, and replacements. */
const RULES: readonly (readonly [RegExp, string])[] = [
  [
    /\bpage\s*\.getByText\((?!.*\.count\(\))/,
    'a role, or locator(SELECTOR, { hasText }): a second element of the page may get the same text when it is drawn',
  ],
  [/waitForTimeout\(|setTimeout\(resolve, \d{3,}/, 'a wait for what is to happen'],
  [/(?<!\w)timeout: *[\d_]+[,\s}]/, 'no time limit of its own: the one of the test has to do'],
  [
    /expect\(\s*await [\w.]+\.(locator|getBy\w+)\([^;]*\)\.(textContent|isDisabled|isChecked|inputValue|getAttribute)\(/,
    'says(...) or expect.poll(...), which ask again until it is so',
  ],
];

const files = FOLDERS.flatMap((folder) =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name)),
);

test('browser tests are found', () => {
  expect(files.length).toBeGreaterThan(20);
});

test.each(RULES.map(([pattern, instead]) => ({ pattern, instead })))(
  'browser tests do not use $pattern but $instead',
  ({ pattern }) => {
    const found = files.flatMap((file) =>
      readFileSync(file, 'utf8')
        .split('\n')
        .flatMap((line, index) => (pattern.test(line) ? [`${file}:${index + 1}: ${line.trim()}`] : [])),
    );
    expect(found).toEqual([]);
  },
);
