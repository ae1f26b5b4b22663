/** The end of a journal: stopping a conversion does not wait for the pause between two entries. */

import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Journal } from '../../dist/model/quantize/resume.js';

// With fake timers, a pause that is not ended lasts for ever.
beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
afterEach(() => void vi.useRealTimers());

/** A journal whose target writes on command. */
function journal() {
  const writes: (() => void)[] = [];
  const target = { log: () => new Promise<void>((resolve) => writes.push(resolve)) };
  const entries = new Journal(target as never, {} as never, ['', ''], true, new AbortController());
  return { entries, writes };
}

test('stop() waits for the entry that is being written', async () => {
  const { entries, writes } = journal();
  entries.add(new Uint8Array(1));
  const stopped = entries.stop();
  writes[0]?.();
  await stopped;
  expect(writes).toHaveLength(1);
});

test('stop() in the pause after an entry ends at once', async () => {
  const { entries, writes } = journal();
  entries.add(new Uint8Array(1));
  writes[0]?.();
  await new Promise(setImmediate);
  expect(vi.getTimerCount()).toBe(1);
  await entries.stop();
  expect(writes).toHaveLength(1);
});
