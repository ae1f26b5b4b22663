/** Misbehaving servers: the right bytes or a typed error, in bounded time and memory. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sha256 } from './support/files.js';
import { behaviours, BYTES, startHostileServer } from './support/hostile-server.js';
import { PEAK } from './support/peak.js';

/** The outcome for one URL. */
interface Outcome {
  sha256?: string;
  code?: string;
  message?: string;
  printed?: string;
}

/** Reads every URL in a separate process, one after the other, and returns the outcomes and the peak memory. */
const script = (urls: unknown) => `
  import { createHash } from 'node:crypto';
  import { inspect } from 'node:util';
  import { openSource } from ${JSON.stringify(new URL('../../dist/node.js', import.meta.url).href)};
  const outcomes = {};
  for (const { name, url, silent } of ${JSON.stringify(urls)}) {
    const limits = silent ? { idleTimeout: 150, attempts: 2 } : { attempts: 3 };
    const headers = { 'X-Api-Key': 'tops3cret', Authorization: 'Bearer tops3cret', Cookie: 'tops3cret' };
    try {
      const source = await openSource(url, { patience: 1, maxWait: 5, headers, ...limits });
      const hash = createHash('sha256');
      const third = Math.ceil(source.size / 3);
      for (let at = 0; at < source.size; at += third) hash.update(await source.read(at, Math.min(third, source.size - at)));
      await source.check();
      outcomes[name] = { sha256: hash.digest('hex'), printed: source.name };
    } catch (error) {
      outcomes[name] = { code: error.code, message: error.message, printed: inspect(error) };
    }
  }
  console.log(JSON.stringify({ outcomes, peak: ${PEAK} }));
  process.exit();
`;

describe('a hostile server', () => {
  let server: Awaited<ReturnType<typeof startHostileServer>>;
  let outcomes: Record<string, Outcome>;
  let peak: number;
  let child: ChildProcess;

  beforeAll(async () => {
    server = await startHostileServer();
    const reader = spawn(process.execPath, ['--input-type=module', '--eval', script(server.urls)]);
    let stdout = '';
    let stderr = '';
    child = reader;
    reader.stdout.on('data', (chunk) => {
      stdout += chunk;
    });
    reader.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    await once(reader, 'close');
    expect(stderr).toBe('');
    ({ outcomes, peak } = JSON.parse(stdout) as { outcomes: typeof outcomes; peak: number });
  });

  afterAll(() => {
    child.kill();
    server.stop();
  });

  const known = Object.entries(behaviours(() => ''));

  test.each(known)('that sends %s gets the expected error', (name, { expected, mentions }) => {
    const { printed = '', ...outcome } = outcomes[name] ?? {};
    if (expected === 'bytes') expect(outcome).toEqual({ sha256: sha256(BYTES) });
    else if (expected === 'empty') expect(outcome).toEqual({ sha256: sha256(new Uint8Array()) });
    else expect(outcome).toMatchObject({ code: expected, message: expect.stringMatching(mentions ?? /./) });
    expect(printed).not.toContain('tops3cret');
    expect(printed).not.toBe('');
  });

  test('cannot make the reader use 200 MB of memory', () => {
    expect(known.length).toBeGreaterThan(40);
    expect(peak).toBeLessThan(200_000_000);
  });

  test("never gets the caller's headers for another origin", () => {
    expect(server.seen.length).toBeGreaterThan(3);
    expect(JSON.stringify(server.seen)).not.toContain('tops3cret');
    for (const headers of server.seen) {
      expect(headers['accept-encoding']).toBe('identity');
      for (const name of ['x-api-key', 'authorization', 'cookie', 'referer']) expect(headers[name]).toBeUndefined();
    }
  });
});
