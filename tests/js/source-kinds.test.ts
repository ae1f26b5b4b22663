/** Files at a path: pipes, sockets and devices are rejected before they are opened, and changes are detected. */

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants, mkdirSync, openAsBlob, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createServer as createSocket, type AddressInfo } from 'node:net';
import { dirname, resolve } from 'node:path';
import { inspect } from 'node:util';
import fc from 'fast-check';
import {
  analyzeModel,
  diffModels,
  init,
  MemoryTarget,
  openImportance,
  openModel,
  openSource,
  quantizeModel,
} from 'quantpress';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { sibling } from '../../dist/io/file-names.js';
import { reopenSource } from '../../dist/io/source/open.js';
import { callConvert, loadConvert } from '../../dist/engine/convert.js';
import { expectSentence, quantpress } from './support/cli.js';
import { failure } from './support/failure.js';
import { folder, sha256 } from './support/files.js';
import { answer, serve } from './support/range-server.js';
import { safetensorsFile } from './support/safetensors.js';
import { sparseModel } from './support/sparse.js';
import { WHALE, WHALE_SHA256 } from './support/whale.js';

beforeAll(() => init());

const TENSORS = safetensorsFile({
  'a.weight': {
    dtype: 'F32',
    shape: [2, 32],
    data: new Uint8Array(Float32Array.from({ length: 64 }, Math.sin).buffer),
  },
});

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** A pipe without a writer or reader. */
function pipe(path: string): string {
  execFileSync('mkfifo', [path]);
  return path;
}

/** A time that every system and file system can store. */
const LONG_AGO = new Date('2020-01-01T00:00:00Z');

/** A file that was written long ago. */
function old(path: string, bytes: Uint8Array): string {
  writeFileSync(path, bytes);
  utimesSync(path, LONG_AGO, LONG_AGO);
  return path;
}

/** Overwrites the file in place and restores its old modification time. */
function overwrite(path: string, bytes: Uint8Array): void {
  writeFileSync(path, bytes, { flag: 'r+' });
  utimesSync(path, LONG_AGO, LONG_AGO);
}

/** The file system counts in ticks of some milliseconds: changes within one tick cannot be distinguished. */
const tick = () => pause(30);

describe('as input', () => {
  test('a pipe, a socket and a device are rejected by kind, and not opened', async () => {
    const { file } = folder();
    const socket = createSocket().listen(file('socket'));
    await once(socket, 'listening');
    onTestFinished(() => void socket.close());
    for (const [path, kind] of [
      [pipe(file('pipe')), 'a pipe'],
      [file('socket'), 'a socket'],
      ['/dev/zero', 'a device'],
    ] as const) {
      for (const opening of [openSource, openModel, openImportance]) {
        const { code, message } = await failure(opening(path));
        expect(code).toBe('UNSUPPORTED');
        expect(message).toContain(`'${path}': it is ${kind}`);
      }
    }
  });

  test('a handle of a pipe is rejected', async () => {
    const handle = await open(pipe(folder().file('pipe')), constants.O_RDWR | constants.O_NONBLOCK);
    onTestFinished(() => handle.close());
    expect(await failure(openSource(handle))).toMatchObject({ code: 'UNSUPPORTED' });
  });

  test.each(['tokenizer.json', 'model.safetensors.index.json', 'other.safetensors'])(
    'a folder whose %s is a pipe is rejected',
    async (name) => {
      const { path, file } = folder();
      writeFileSync(file('a.safetensors'), TENSORS);
      pipe(file(name));
      expect(await failure(openModel(path))).toMatchObject({ code: 'UNSUPPORTED' });
    },
  );

  test('a pipe as tensor types, manifest or standard input ends the command with one sentence', async () => {
    const { file } = folder();
    pipe(file('pipe'));
    const commands = [
      ['quantize', '--tensor-type-file', file('pipe'), WHALE, file('out.gguf'), 'Q8_0'],
      ['quantize', '--imatrix', file('pipe'), WHALE, file('out.gguf'), 'Q8_0'],
      ['verify', '--manifest', file('pipe'), WHALE],
      ['inspect', '/dev/stdin'],
    ];
    for (const outcome of await Promise.all(commands.map((args) => quantpress(args)))) {
      expect(outcome.code).toBe(1);
      expectSentence(outcome);
      expect(outcome.stderr).toMatch(/it is a (pipe|socket)/);
    }
  });
});

describe('as output', () => {
  test('a pipe with a slow reader gets every byte', async () => {
    const { file } = folder();
    const out = pipe(file('out'));
    const reader = spawn('sh', ['-c', `{ sleep 0.2; cat; } < '${out}' > '${file('copy')}'`]);
    const closed = once(reader, 'close');
    const model = await openModel(WHALE);
    await quantizeModel(model, out, 'Q8_0');
    await model.close();
    await closed;
    expect(sha256(file('copy'))).toBe(WHALE_SHA256.Q8_0);
  });

  test('a pipe without a reader waits until it is aborted', async () => {
    const stop = new AbortController();
    const out = pipe(folder().file('out'));
    const model = await openModel(WHALE);
    const run = quantizeModel(model, out, 'Q8_0', { signal: stop.signal });
    await pause(50);
    stop.abort(new Error('enough'));
    await expect(run).rejects.toThrow('enough');
    await model.close();
  });

  test('SIGTERM ends a command whose reader has stopped reading', async () => {
    const { file } = folder();
    sparseModel(file('in.gguf'), 4_000_000);
    const out = pipe(file('out'));
    // Once there are bytes the command is working; nothing reads the rest, and the pipe fills up.
    const handle = await open(out, constants.O_RDONLY | constants.O_NONBLOCK);
    onTestFinished(() => handle.close());
    const outcome = quantpress(['quantize', file('in.gguf'), out, 'Q8_0'], undefined, undefined, (child) => {
      const look = async () => {
        const { bytesRead } = await handle.read(new Uint8Array(4), 0, 4).catch(() => ({ bytesRead: 0 }));
        if (bytesRead === 0) return void setTimeout(() => void look(), 10);
        await pause(100);
        child.kill('SIGTERM');
      };
      void look();
    });
    expect((await outcome).code).toBe(143);
  });
});

describe('a file that is overwritten in place, with its modification time set back,', () => {
  test('is detected when read from a path, also in a worker', async () => {
    const path = old(folder().file('bytes'), new Uint8Array(1000));
    const source = await openSource(path);
    onTestFinished(() => source.close?.());
    const description = structuredClone(source.describe?.());
    await source.check?.();
    await tick();
    overwrite(path, new Uint8Array(1000).fill(1));
    expect(await failure(source.check?.() ?? Promise.resolve())).toMatchObject({ code: 'CHANGED' });
    expect(await failure(description ? reopenSource(description) : Promise.resolve())).toMatchObject({
      code: 'CHANGED',
    });
  });

  test('has another fingerprint and is not resumed from', async () => {
    const path = old(folder().file('bytes'), new Uint8Array(1000));
    const print = async () => {
      const source = await openSource(path);
      const found = await source.fingerprint?.();
      await source.close?.();
      return found;
    };
    const before = await print();
    expect(await print()).toBe(before);
    await tick();
    overwrite(path, new Uint8Array(1000).fill(1));
    expect(await print()).not.toBe(before);
  });

  test('ends a conversion and leaves nothing', async () => {
    const { file, names } = folder();
    const path = old(file('in.gguf'), readFileSync(WHALE));
    const model = await openModel(path);
    await tick();
    let done = false;
    const run = quantizeModel(model, file('out.gguf'), 'Q8_0', {
      workers: 1,
      onProgress: () => {
        if (!done) overwrite(path, Buffer.alloc(1000));
        done = true;
      },
    });
    expect(await failure(run)).toMatchObject({ code: 'CHANGED' });
    expect(names()).toEqual(['in.gguf']);
    await model.close();
  });

  test('ends an analysis and a comparison', async () => {
    const { file } = folder();
    const path = old(file('in.gguf'), readFileSync(WHALE));
    const [model, other] = [await openModel(path), await openModel(WHALE)];
    await tick();
    overwrite(path, Buffer.alloc(1000));
    expect(await failure(analyzeModel(model, { formats: ['Q8_0'], workers: 0 }))).toMatchObject({ code: 'CHANGED' });
    expect(await failure(diffModels(model, other, { workers: 0 }))).toMatchObject({ code: 'CHANGED' });
    for (const each of [model, other]) await each.close();
  });

  test('is detected when read from a Blob', async () => {
    /** A `File` as in a browser: its slices are read on demand. */
    const content = new Uint8Array(100_000);
    const blob = new File([content], 'model.gguf', { lastModified: 1 });
    Object.defineProperty(blob, 'slice', { value: (from: number, to: number) => new Blob([content.slice(from, to)]) });
    const source = await openSource(blob);
    await source.read(0, 10);
    await source.check?.();
    content.fill(7, 50_000);
    expect(await failure(source.check?.() ?? Promise.resolve())).toMatchObject({
      code: 'CHANGED',
      message: expect.stringContaining("'model.gguf' was changed"),
    });
  });
});

test('workers convert a file-backed Blob of Node and a slice of it', async () => {
  const { file } = folder();
  const bytes = readFileSync(WHALE);
  writeFileSync(file('offset'), Buffer.concat([Buffer.alloc(512), bytes]));
  const [whole, slice] = [await openAsBlob(WHALE), (await openAsBlob(file('offset'))).slice(512)];
  for (const blob of [whole, slice]) {
    const target = new MemoryTarget();
    await quantizeModel(await openModel(blob), target, 'Q8_0', { workers: 2 });
    expect(sha256(target.bytes ?? '')).toBe(WHALE_SHA256.Q8_0);
  }
});

describe('an index', () => {
  test.each([
    'http:127.0.0.1:PORT?x',
    'http://127.0.0.1:PORT/x',
    'file:secret',
    '../secret',
    'C:secret',
    '%2e%2e%2fsecret',
    'a\u0000',
  ])('opened by a bare name does not lead to %j', async (name) => {
    let requests = 0;
    const server = createServer((_, response) => {
      requests += 1;
      response.end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    const { path, file } = folder();
    mkdirSync(file('hf'));
    for (const secret of [file('secret'), file('hf/secret')]) writeFileSync(secret, TENSORS);
    const named = name.replace('PORT', String((server.address() as AddressInfo).port));
    writeFileSync(file('hf/model.safetensors.index.json'), index(named));
    const outcome = await quantpress(['inspect', 'model.safetensors.index.json'], `${path}/hf`);
    expect(outcome.code).toBe(1);
    expectSentence(outcome);
    expect(outcome.stderr).toContain('only plain names of files in the same folder are allowed');
    expect(requests).toBe(0);
  });

  test('on a server names files with any characters, which cannot alter the request', async () => {
    const name = 'a #1?sig=2&b 模型.safetensors';
    const asked = new Set<string>();
    const url = await serve(TENSORS, (request, response) => {
      asked.add(request.url ?? '');
      if (request.url?.startsWith('/hf/model.safetensors.index.json')) {
        answer(new TextEncoder().encode(index(name)), request, response);
        return true;
      }
      return !request.url?.startsWith('/hf/a') && !!response.writeHead(404).end();
    });
    const model = await openModel(url.replace('model.gguf', 'hf/model.safetensors.index.json?token=a/b#part'));
    expect(model.tensors.map((tensor) => tensor.name)).toEqual(['a.weight']);
    expect([...asked]).toContain(`/hf/${encodeURIComponent(name)}?token=a/b`);
    expect([...asked].every((path) => path.endsWith('?token=a/b'))).toBe(true);
    await model.close();
  });

  test('on disk names a file with any characters', async () => {
    const { path, file } = folder();
    const name = 'a #1?sig=2 模型 100%.safetensors';
    writeFileSync(file(name), TENSORS);
    writeFileSync(file('model.safetensors.index.json'), index(name));
    for (const input of [
      path,
      file('model.safetensors.index.json'),
      new URL(`file://${file('model.safetensors.index.json')}`),
    ]) {
      const model = await openModel(input);
      expect(model.tensors.length).toBe(1);
      await model.close();
    }
  });
});

test('a file of a folder is never mistaken for a URL, whatever its name', async () => {
  const { path, file } = folder();
  writeFileSync(file('http:127.0.0.1:1?x.safetensors'), TENSORS);
  const { code, stdout } = await quantpress(['inspect', '.'], path);
  expect(code).toBe(0);
  expect(stdout).toContain('a.weight');
});

test('a path with # and ? in it is a path', async () => {
  const { file } = folder();
  mkdirSync(file('c# or what?'));
  writeFileSync(file('c# or what?/model.safetensors'), TENSORS);
  writeFileSync(file('c# or what?/model.safetensors.index.json'), index('model.safetensors'));
  const model = await openModel(file('c# or what?/model.safetensors.index.json'));
  expect(model.tensors.length).toBe(1);
  await model.close();
});

function index(name: string): string {
  return JSON.stringify({ weight_map: { 'a.weight': name } });
}

describe('secrets in a URL', () => {
  test('are not printed by the command line', async () => {
    const url = await serve(new Uint8Array(readFileSync(WHALE)));
    const secret = `${url}?token=tops3cret&plain`;
    const commands = [
      ['inspect', secret],
      ['inspect', '--json', secret],
      ['verify', secret],
      ['quantize', '--dry-run', secret, 'out', 'Q8_0'],
    ];
    const outcomes = await Promise.all(commands.map((args) => quantpress(args)));
    for (const { code, stdout, stderr } of outcomes) {
      expect(code).toBe(0);
      expect(stdout + stderr).not.toMatch(/tops3cret|plain/);
      expect(stdout).toContain(`${url}?token=***&***`);
    }
  });

  test.each([
    ['a password', 'http://user:tops3cret@127.0.0.1:9/model.gguf', {}],
    ['a password outside the authority of a URL', 'http://user:tops3cret/@127.0.0.1:9/model.gguf', {}],
    ['a password, with another scheme', 'ftp://user:tops3cret@127.0.0.1/model.gguf', {}],
    ['a password, in a file URL', 'file://user:tops3cret@elsewhere/model.gguf', {}],
    ['a header that cannot be sent', 'http://127.0.0.1:9/x', { headers: { 'X-Api-Key': 'tops3cret\n' } }],
    ['a token, with no server listening', 'http://127.0.0.1:2/x?token=tops3cret#tops3cret', { attempts: 1 }],
  ])('are in no part of an error: %s', async (_, url, options) => {
    const error: unknown = await openModel(url, options).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ name: 'QuantpressError' });
    expect(inspect(error, { depth: 9 })).not.toContain('tops3cret');
  });
});

test('every file that an index can name is in the folder of the index', async () => {
  const bases = [
    'https://host:8443/a/b/model.safetensors.index.json?token=x/y',
    'http://host/model.safetensors.index.json',
  ];
  await loadConvert();
  let followed = 0;
  const odd = fc.constantFrom(
    '.',
    '/',
    '\\',
    ':',
    '%2e',
    '%2F',
    '%',
    '?',
    '#',
    '@',
    '\0',
    'http:',
    '//',
    ' ',
    'ü',
    'a',
    '1',
  );
  const names = fc.oneof(
    fc.string(),
    fc.array(odd, { maxLength: 6 }).map((parts) => parts.join('')),
  );
  fc.assert(
    fc.property(names, (name) => {
      const bytes = new TextEncoder().encode(index(name));
      let found: unknown[];
      try {
        found = callConvert((engine) => engine.indexFiles(bytes));
      } catch (error) {
        expect(error).toMatchObject({ code: 'MALFORMED' });
        return;
      }
      followed += 1;
      expect(found).toEqual([name]);
      for (const base of bases) {
        const [from, to] = [new URL(base), new URL(sibling(base, name))];
        expect([to.origin, to.search, to.hash]).toEqual([from.origin, from.search, '']);
        expect(decodeURIComponent(to.pathname)).toBe(new URL('.', from).pathname + name);
      }
      expect(dirname(resolve('/a/b', sibling('model.safetensors.index.json', name)))).toBe('/a/b');
    }),
    { seed: 14, numRuns: 3000 },
  );
  expect(followed).toBeGreaterThan(500);
});
