/** Run by tests/browser/control.test.ts, which expects the second to fail. */

import { init, quantize } from 'quantpress';
import { expect, test } from 'vitest';

test('zeros encode to zero bytes', async () => {
  await init();
  expect([...quantize(new Float32Array(32), 'Q8_0')]).toEqual(Array(34).fill(0));
});

test('a page has no document', () => expect(typeof document).toBe('undefined'));
