import { readFileSync } from 'node:fs';
import { errorKinds } from 'quantpress';
import { expect, test } from 'vitest';

test('the codes of the engine are all known, with their kinds', () => {
  const codes = /codes! \{([^}]+)\}/.exec(readFileSync('src/error.rs', 'utf8'))?.[1] ?? '';
  const engine = [...codes.matchAll(/^ +(\w+) (\w+);/gm)].map(([, kind, code]) => [code, kind] as const);
  expect(engine.length).toBeGreaterThan(10);
  expect(errorKinds).toMatchObject(Object.fromEntries(engine));
});
