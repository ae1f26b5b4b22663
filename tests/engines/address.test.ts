/** What a page takes for an address, and cannot ask for: refused at once, not asked for five times. */

import { init, openModel, openSource } from 'quantpress';
import { beforeAll, expect, test } from 'vitest';

beforeAll(() => init());

/** A second try would wait for ever. */
const once = { patience: 2 ** 30 };

test.each([
  ['none', '//'],
  ['of a kind that is not fetched', 'C:\\models\\model.gguf'],
  ['of a kind that nobody knows', 'model:q4.gguf'],
  ['one with a password', 'http://user:word@localhost/model.gguf'],
])('an address that is %s', async (_, name) => {
  await expect(openSource(name, once)).rejects.toMatchObject({ code: 'ARGUMENT' });
  await expect(openModel([name], once)).rejects.toMatchObject({ code: 'ARGUMENT' });
});

test('of a name that is not there the server is asked once', async () => {
  await expect(openSource('there is no such model.gguf', once)).rejects.toMatchObject({ kind: 'Io' });
});
