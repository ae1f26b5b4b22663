/** Strings that a page treats as URLs but cannot request: rejected at once, without retries. */

import { init, openModel, openSource } from 'quantpress';
import { beforeAll, expect, test } from 'vitest';

beforeAll(() => init());

/** A second attempt would wait for ever. */
const once = { patience: 2 ** 30 };

test.each([
  ['is not a URL', '//'],
  ['has a scheme that cannot be fetched', 'C:\\models\\model.gguf'],
  ['has an unknown scheme', 'model:q4.gguf'],
  ['has a password', 'http://user:word@localhost/model.gguf'],
])('a URL that %s is rejected at once', async (_, name) => {
  await expect(openSource(name, once)).rejects.toMatchObject({ code: 'ARGUMENT' });
  await expect(openModel([name], once)).rejects.toMatchObject({ code: 'ARGUMENT' });
});

test('a missing file is requested once', async () => {
  await expect(openSource('there is no such model.gguf', once)).rejects.toMatchObject({ kind: 'Io' });
});
