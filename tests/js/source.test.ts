import { appendFileSync, renameSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { init, openModel, openSource, type Source } from 'quantpress';
import { describe, expect, onTestFinished, test } from 'vitest';
import { JoinedSource } from '../../dist/io/source/joined.js';
import { reopenSource } from '../../dist/io/source/open.js';
import { failure } from './support/failure.js';
import { folder } from './support/files.js';
import { answer, serve } from './support/range-server.js';

const BYTES = Uint8Array.from({ length: 70_001 }, (_, index) => (index * 31) ^ (index >> 8));

function shared(): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer(BYTES.length);
  new Uint8Array(buffer).set(BYTES);
  return buffer;
}

/** Whether these are the bytes of a range. */
function same(bytes: Uint8Array | undefined, offset: number, length: number): boolean {
  return bytes !== undefined && Buffer.compare(bytes, BYTES.subarray(offset, offset + length)) === 0;
}

function file(): string {
  const path = folder().file('bytes');
  writeFileSync(path, BYTES);
  return path;
}

const KINDS: Record<string, { open: () => Promise<Source>; described: boolean }> = {
  bytes: { open: () => openSource(BYTES), described: false },
  'a view': { open: () => openSource(new Uint8Array(new Uint8Array([9, ...BYTES]).buffer, 1)), described: false },
  'an ArrayBuffer': { open: () => openSource(BYTES.slice().buffer), described: false },
  'shared memory': { open: () => openSource(shared()), described: true },
  'a Blob': { open: () => openSource(new Blob([BYTES])), described: false },
  'a path': { open: () => openSource(file()), described: true },
  'a file URL': { open: () => openSource(new URL(`file://${file()}`)), described: true },
  'a FileHandle': {
    open: async () => {
      const handle = await open(file());
      onTestFinished(() => handle.close());
      return openSource(handle);
    },
    described: false,
  },
  'a URL': { open: async () => openSource(await serve(BYTES)), described: true },
  'a URL by a fetch of the caller': { open: async () => openSource(await serve(BYTES), { fetch }), described: false },
  'blobs end to end': {
    open: async () => {
      const cuts = [0, 600, 601, 601, 50_000, BYTES.length];
      const blobs = cuts.slice(1).map((end, index) => openSource(new Blob([BYTES.subarray(cuts[index], end)])));
      return new JoinedSource(await Promise.all(blobs));
    },
    described: false,
  },
  'a file and bytes end to end': {
    open: async () => {
      const path = folder().file('half');
      writeFileSync(path, BYTES.subarray(0, 12_346));
      return new JoinedSource(await Promise.all([openSource(path), openSource(BYTES.slice(12_346))]));
    },
    described: false,
  },
  'an object': {
    open: () => openSource({ size: BYTES.length, read: async (at, n) => BYTES.slice(at, at + n) }),
    described: false,
  },
};

describe.each(Object.entries(KINDS))('%s', (_, { open, described }) => {
  test('reads any range', async () => {
    const source = await open();
    expect(source.size).toBe(BYTES.length);
    const ranges = [
      [0, 1],
      [0, BYTES.length],
      [BYTES.length - 1, 1],
      [12_345, 40_000],
      [777, 0],
    ] as const;
    const parts = await Promise.all(ranges.map(([offset, length]) => source.read(offset, length)));
    for (const [index, [offset, length]] of ranges.entries()) {
      expect(same(parts[index], offset, length)).toBe(true);
    }
    await source.check?.();
    await source.close?.();
  });

  test('has a description for workers if and only if they can open it', async () => {
    const source = await open();
    const description = source.describe?.();
    expect(description !== undefined).toBe(described);
    if (!description) return source.close?.();
    const again = await reopenSource(structuredClone(description));
    expect(same(await again.read(500, 60_000), 500, 60_000)).toBe(true);
    await again.close?.();
    await source.close?.();
  });
});

describe.each(Object.entries(KINDS).filter(([name]) => name !== 'an object'))('%s', (_, { open }) => {
  test('rejects ranges outside of it', async () => {
    const source = await open();
    expect(await failure(source.read(1, BYTES.length))).toMatchObject({
      code: 'TRUNCATED',
      details: { needed: BYTES.length + 1, size: BYTES.length },
    });
    expect(await failure(source.read(-1, 1))).toMatchObject({ code: 'RANGE' });
    expect(await failure(source.read(0, 1.5))).toMatchObject({ code: 'RANGE' });
    await source.close?.();
  });
});

describe('a file', () => {
  test('that does not exist is rejected', async () => {
    const path = folder().file('none');
    const message = `cannot read '${path}': there is no such file or folder`;
    expect(await failure(openSource(path))).toMatchObject({ code: 'NOT_FOUND', message });
  });

  test('that is a directory is rejected', async () => {
    const { path } = folder();
    expect(await failure(openSource(path))).toMatchObject({
      code: 'UNSUPPORTED',
      message: `cannot read '${path}': it is a directory`,
    });
  });

  test('that grows or is replaced is detected', async () => {
    const path = file();
    const source = await openSource(path);
    const description = source.describe?.();
    appendFileSync(path, 'more');
    expect(await failure(source.check?.() ?? Promise.resolve())).toMatchObject({ code: 'CHANGED' });
    writeFileSync(`${path}.new`, BYTES);
    renameSync(`${path}.new`, path);
    if (description) expect(await failure(reopenSource(description))).toMatchObject({ code: 'CHANGED' });
    await source.close?.();
  });

  test('that is truncated while it is read is an error', async () => {
    const path = file();
    const source = await openSource(path);
    writeFileSync(path, BYTES.subarray(0, 100));
    expect(await failure(source.read(50, 100))).toMatchObject({ code: 'TRUNCATED', details: { size: 100 } });
    await source.close?.();
  });
});

describe('a URL', () => {
  const quick = { patience: 1 };

  test.each([
    [404, 'NOT_FOUND', 1],
    [403, 'DENIED', 1],
    [418, 'IO', 1],
    [503, 'IO', 5],
  ] as const)('that answers %i fails with %s after %i tries', async (status, code, tries) => {
    let requests = 0;
    const url = await serve(BYTES, (_, response) => {
      requests += 1;
      response.writeHead(status).end();
      return true;
    });
    expect(await failure(openSource(url, quick))).toMatchObject({ code, details: { status } });
    expect(requests).toBe(tries);
  });

  test('that ignores ranges is not read whole', async () => {
    const url = await serve(BYTES, (_, response) => !!response.writeHead(200).end(BYTES));
    expect(await failure(openSource(url))).toMatchObject({ code: 'IO', details: { status: 200 } });
  });

  test('that does not state its size is an error', async () => {
    const url = await serve(BYTES, (_, response) => !!response.writeHead(206).end('x'));
    expect(await failure(openSource(url))).toMatchObject({ code: 'IO' });
  });

  test('that is busy, then drops the connection, is requested again', async () => {
    const url = await serve(BYTES, (_, response, count) => {
      if (count === 0) return !!response.writeHead(429, { 'retry-after': '0' }).end();
      if (count !== 2) return false;
      response.writeHead(206, {
        'content-range': `bytes 0-999/${BYTES.length}`,
        'content-length': '1000',
        etag: '"1"',
      });
      response.write(BYTES.subarray(0, 10), () => response.destroy());
      return true;
    });
    const source = await openSource(url, quick);
    expect(await source.read(0, 1000)).toEqual(BYTES.slice(0, 1000));
  });

  test.each([
    ['another ETag', { etag: '"2"' }, 'CHANGED'],
    ['another size', { 'content-range': 'bytes 0-9/10' }, 'CHANGED'],
    ['another range', { 'content-range': `bytes 5-14/${BYTES.length}` }, 'IO'],
  ] as const)('that answers with %s is an error', async (_, headers, code) => {
    const url = await serve(BYTES, (request, response, count) => {
      if (count > 0) answer(BYTES, request, response, headers);
      return count > 0;
    });
    const source = await openSource(url, quick);
    expect(await failure(source.read(0, 10))).toMatchObject({ code });
  });

  test.each([
    ['a strong ETag', '"7"', '"7"'],
    ['a weak one', 'W/"7"', undefined],
  ])('with %s sends If-Range accordingly', async (_, etag, sent) => {
    const seen: unknown[] = [];
    const url = await serve(BYTES, (request, response) => {
      seen.push(request.headers['if-range']);
      answer(BYTES, request, response, { etag });
      return true;
    });
    const source = await openSource(url);
    await source.read(5, 10);
    expect([seen[0], seen.at(-1)]).toEqual([undefined, sent]);
  });

  test('that has changed and sends its whole body is an error', async () => {
    const url = await serve(BYTES, (request, response) => {
      const { 'if-range': condition } = request.headers;
      return condition !== undefined && !!response.writeHead(200, { etag: '"2"' }).end(BYTES);
    });
    const source = await openSource(url);
    expect(await failure(source.read(5, 10))).toMatchObject({ code: 'CHANGED' });
  });

  test('has the same number of attempts in a worker as in the main thread', async () => {
    let requests = 0;
    const url = await serve(BYTES, (_, response) => ++requests > 1 && !!response.writeHead(503).end());
    const source = await openSource(url, { attempts: 3, patience: 1 });
    const description = structuredClone(source.describe?.());
    const again = description && (await reopenSource(description));
    expect(await failure(again?.read(0, 1) ?? Promise.resolve())).toMatchObject({ code: 'IO' });
    expect(requests).toBe(1 + 3);
  });

  test('that sends fewer bytes than it announces is an error', async () => {
    const url = await serve(BYTES, (_, response, count) => {
      if (count === 0) return false;
      response.writeHead(206, { 'content-range': `bytes 0-99/${BYTES.length}`, etag: '"1"' }).end('short');
      return true;
    });
    const source = await openSource(url, quick);
    expect(await failure(source.read(0, 100))).toMatchObject({ code: 'IO', details: { got: 5, expected: 100 } });
  });

  /** A second attempt would wait for ever. */
  const once = { patience: 2 ** 30 };

  test.each([
    ['is invalid', 'http://', {}],
    ['contains a password', 'http://user:word@127.0.0.1:9/model.gguf', {}],
    ['has an invalid header', 'http://127.0.0.1:9/model.gguf', { headers: { 'a b': 'c' } }],
    ['is a file URL on another machine', 'file://elsewhere/model.gguf', {}],
  ])('that %s is rejected and not requested again', async (_, url, options) => {
    expect(await failure(openSource(url, { ...once, ...options }))).toMatchObject({ code: 'ARGUMENT' });
    expect(await failure(openModel(url, { ...once, ...options }))).toMatchObject({ code: 'ARGUMENT' });
  });

  test.each([
    ['with no server listening', 'http://127.0.0.1:2/model.gguf', 'nothing accepts connections there', 'ECONNREFUSED'],
    ['with an unknown host', 'http://nobody.invalid/model.gguf', 'host', /ENOTFOUND|EAI_AGAIN/],
  ])('%s fails with the reason and its cause', async (_, url, reason, system) => {
    const error: unknown = await openSource(url, quick).catch((error: unknown) => error);
    expect(error).toMatchObject({ code: 'IO', message: expect.stringContaining(reason), cause: expect.any(Error) });
    expect(error).toMatchObject({
      message: expect.stringMatching(system),
      details: { system: expect.stringMatching(system) },
    });
  });

  test.each([
    ['attempts', 0],
    ['attempts', Number.NaN],
    ['attempts', 1.5],
    ['patience', -1],
    ['maxWait', Number.NaN],
    ['idleTimeout', 0],
  ])('is rejected with %s of %s', async (name, value) => {
    expect(await failure(openSource('http://127.0.0.1:2/x', { [name]: value }))).toMatchObject({
      code: 'RANGE',
      message: expect.stringContaining(`${name} is ${value}`),
    });
  });

  test('supports many concurrent reads with one signal, without a warning', async () => {
    const warnings: Error[] = [];
    const note = (warning: Error) => void warnings.push(warning);
    process.on('warning', note);
    onTestFinished(() => void process.off('warning', note));
    const source = await openSource(await serve(BYTES));
    const { signal } = new AbortController();
    await Promise.all(Array.from({ length: 40 }, (_, index) => source.read(index, 1000, signal)));
    await new Promise((resolve) => setImmediate(resolve));
    expect(warnings).toEqual([]);
  });

  test('that was read to its end is neither aborted nor cancelled', async () => {
    const signals: (AbortSignal | undefined)[] = [];
    let cancelled = 0;
    const watched = async (url: string | URL | Request, options?: RequestInit) => {
      signals.push(options?.signal ?? undefined);
      const response = await fetch(url, options);
      const { body } = response;
      if (body) {
        const reader = body.getReader();
        const noted = async () => {
          cancelled += 1;
        };
        body.cancel = noted;
        Object.defineProperty(body, 'getReader', { value: () => Object.assign(reader, { cancel: noted }) });
      }
      return response;
    };
    const source = await openSource(await serve(BYTES), { fetch: watched });
    await source.read(5, 60_000);
    expect(signals.map((signal) => signal?.aborted)).toEqual([false, false]);
    expect(cancelled).toBe(0);
  });

  test('is aborted by a signal while it waits', async () => {
    const stop = new AbortController();
    const url = await serve(BYTES, (_, response, count) => {
      if (count === 1) queueMicrotask(() => stop.abort(new Error('enough')));
      return count > 0 && !!response.writeHead(503, { 'retry-after': '60' }).end();
    });
    const source = await openSource(url);
    await expect(source.read(0, 10, stop.signal)).rejects.toThrow('enough');
  });
});

describe('several sources end to end', () => {
  const parts = [0, 20_000, 20_001, 20_001, 60_000, BYTES.length].map((start, index, all) =>
    BYTES.slice(start, all[index + 1] ?? start),
  );

  test('have a fingerprint of all of them in order', async () => {
    await init(); // hashes bytes
    const print = async (parts: Uint8Array[]) =>
      new JoinedSource(await Promise.all(parts.map((bytes) => openSource(bytes)))).fingerprint();
    const [a, b] = [BYTES.slice(0, 9), BYTES.slice(9, 18)];
    const prints = await Promise.all([[a, b], [b, a], [a], [a, b, new Uint8Array()], [BYTES.slice(0, 18)]].map(print));
    expect(new Set(prints).size).toBe(prints.length);
    const unknown = { size: 3, read: async () => new Uint8Array(3) };
    expect(await new JoinedSource([await openSource(a), unknown]).fingerprint()).toBeUndefined();
  });

  test('are an error if one of them has changed', async () => {
    const path = file();
    const source = new JoinedSource(await Promise.all([openSource(parts[0] ?? ''), openSource(path)]));
    appendFileSync(path, 'more');
    expect(await failure(source.check())).toMatchObject({ code: 'CHANGED' });
    await source.close();
  });
});

test('an invalid source is rejected', async () => {
  expect(await failure(openSource({} as never))).toMatchObject({ code: 'ARGUMENT' });
});
