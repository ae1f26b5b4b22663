import { readFileSync } from 'node:fs';
import { errorKinds } from 'quantpress';
import { expect, test } from 'vitest';

test('every error code of the engine is declared with its kind', () => {
  const codes = /codes! \{([^}]+)\}/.exec(readFileSync('src/error.rs', 'utf8'))?.[1] ?? '';
  const engine = [...codes.matchAll(/^ +(\w+) (\w+);/gm)].map(([, kind, code]) => [code, kind] as const);
  expect(engine.length).toBeGreaterThan(10);
  expect(errorKinds).toMatchObject(Object.fromEntries(engine));
});
