import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import type { Worker } from 'node:worker_threads';
import { init, MemoryTarget, openModel, QuantpressError, quantizeModel, type Source, type Target } from 'quantpress';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { FileTarget } from '../../dist/io/target/file.js';
import { failure } from './support/failure.js';
import { folder, sha256 } from './support/files.js';
import { floats, gguf, LLAMA, wave } from './support/gguf.js';
import { uniform } from './support/random.js';
import { WHALE, WHALE_SHA256 } from './support/whale.js';

// Unhandled rejections fail the run, because the test runner listens for them.

beforeAll(() => init());

/** Seven tensors, a tile each. */
const SMALL = gguf(
  LLAMA,
  Array.from({ length: 7 }, (_, index) => floats(`blk.${index % 2}.t${index}.weight`, [256, 8 + index], wave)),
);

/** A source whose behaviour at each read is given. */
function source(fault: (call: number, bytes: Uint8Array<ArrayBuffer>) => unknown, bytes = SMALL): Source {
  let calls = 0;
  return {
    size: bytes.length,
    name: 'faulty',
    async read(offset, length) {
      const piece = bytes.slice(offset, offset + length);
      return ((await fault(calls++, piece)) as Uint8Array<ArrayBuffer> | undefined) ?? piece;
    },
  };
}

async function expected(): Promise<Uint8Array> {
  const target = new MemoryTarget();
  await quantizeModel(await openModel(SMALL), target, 'Q8_0', { workers: 0 });
  return target.bytes ?? new Uint8Array();
}

async function convert(input: Source, out: string | Target, workers: number, signal?: AbortSignal): Promise<void> {
  const model = await openModel(input);
  await quantizeModel(model, out, 'Q8_0', { workers, signal });
}

describe.each([0, 2])('with %i workers, a conversion whose source', (workers) => {
  test('fails at the n-th read rejects and leaves nothing, for every n', async () => {
    const right = await expected();
    let ended = false;
    for (let n = 0; !ended; n++) {
      const { file, names } = folder();
      const error = new QuantpressError('IO', `read ${n} failed`);
      const faulty = source((call) => (call === n ? Promise.reject(error) : undefined));
      const outcome = await convert(faulty, file('out'), workers).catch((reason: unknown) => reason);
      ended = outcome === undefined;
      if (ended) expect(new Uint8Array(readFileSync(file('out')))).toEqual(right);
      else expect(outcome).toMatchObject({ code: 'IO', message: expect.stringContaining(`read ${n} failed`) });
      expect(names()).toEqual(ended ? ['out'] : []);
      expect(n).toBeLessThan(50);
    }
  });

  test('returns too few bytes at the n-th read rejects and leaves nothing, for every n', async () => {
    let ended = false;
    for (let n = 0; !ended; n++) {
      const { file, names } = folder();
      const faulty = source((call, bytes) => (call === n ? bytes.slice(0, bytes.length >> 1) : undefined));
      const outcome = await convert(faulty, file('out'), workers).catch((reason: unknown) => reason);
      ended = outcome === undefined;
      if (!ended) expect(outcome).toMatchObject({ code: 'TRUNCATED' });
      expect(names()).toEqual(ended ? ['out'] : []);
    }
  });

  test('never answers and ignores the signal can still be aborted', async () => {
    for (const n of [1, 3, 7]) {
      const { file, names } = folder();
      const stop = new AbortController();
      const stuck = source((call) => {
        if (call < n) return undefined;
        setTimeout(() => stop.abort(new Error('enough')), 5);
        return new Promise(() => {});
      });
      await expect(convert(stuck, file('out'), workers, stop.signal)).rejects.toThrow('enough');
      expect(names()).toEqual([]);
    }
  });

  test('is slow writes the right file', async () => {
    const target = new MemoryTarget();
    await convert(
      source(() => new Promise((resolve) => setTimeout(resolve, 3))),
      target,
      workers,
    );
    expect(target.bytes).toEqual(await expected());
  });
});

describe.each([0, 2])('with %i workers, a target', (workers) => {
  /** A target that fails at one call and counts `close` and `abort`. */
  function target(fails: string, n: number, error: Error) {
    const inner = new MemoryTarget();
    const ends: string[] = [];
    let calls = 0;
    const fault = (call: string) => {
      if (call === fails && calls++ === n) throw error;
    };
    const faulty: Target = {
      async open(size) {
        fault('open');
        await inner.open(size);
      },
      async write(offset, bytes) {
        fault('write');
        await inner.write(offset, bytes);
      },
      async close() {
        fault('close');
        ends.push('closed');
        await inner.close();
      },
      async abort() {
        ends.push('aborted');
      },
    };
    return { faulty, ends, inner };
  }

  test('that fails at the n-th write is aborted once, for every n', async () => {
    let ended = false;
    for (let n = 0; !ended; n++) {
      const error = new QuantpressError('NO_SPACE', `write ${n}`);
      const { faulty, ends, inner } = target('write', n, error);
      const outcome = await convert(
        source(() => undefined),
        faulty,
        workers,
      ).catch((reason: unknown) => reason);
      ended = outcome === undefined;
      if (ended) expect(inner.bytes).toEqual(await expected());
      else expect(outcome).toBe(error);
      expect(ends).toEqual(ended ? ['closed'] : ['aborted']);
      expect(n).toBeLessThan(50);
    }
  });

  test.each(['open', 'close'])('that fails at %s rejects the conversion', async (call) => {
    const error = new QuantpressError('NO_SPACE', call);
    const { faulty, ends } = target(call, 0, error);
    await expect(
      convert(
        source(() => undefined),
        faulty,
        workers,
      ),
    ).rejects.toBe(error);
    expect(ends).toEqual(['aborted']);
  });
});

test.each([0, 2])(
  'with %i workers, a conversion can be aborted before and at any moment during its start',
  async (workers) => {
    for (let turns = 0; turns < 40; turns++) {
      const { file, names } = folder();
      const stop = new AbortController();
      const reason = new Error('enough');
      const model = await openModel(WHALE);
      const work = quantizeModel(model, file('out'), 'Q8_0', { workers, signal: stop.signal });
      for (let turn = 0; turn < turns; turn++) await Promise.resolve();
      stop.abort(reason);
      await expect(work).rejects.toBe(reason);
      expect(names()).toEqual([]);
      await model.close();
    }
  },
);

test('an aborted run does not wait for hashes of tiles that were never written', async () => {
  const stop = new AbortController();
  const reason = new Error('enough');
  let first = true;
  const model = await openModel(source(() => undefined));
  const read = model.source.read.bind(model.source);
  model.source.read = (...range) => {
    if (!first) return read(...range);
    first = false;
    return new Promise(() => {}); // the first tile never comes
  };
  const inner = new MemoryTarget();
  const target: Target = {
    open: (size) => inner.open(size),
    async write(offset, bytes) {
      if (offset > 0) stop.abort(reason);
      await new Promise((resolve) => setTimeout(resolve, 5));
      await inner.write(offset, bytes);
    },
    close: () => inner.close(),
    abort: () => inner.abort(),
  };
  const options = { workers: 2, hashes: true, signal: stop.signal };
  await expect(quantizeModel(model, target, 'Q8_0', options)).rejects.toBe(reason);
});

test('killing workers at any moment gives a worker error or the right file, and leaves no worker', async () => {
  const workers: Worker[] = [];
  const random = uniform(Date.now());
  let most = 0;
  let timers: NodeJS.Timeout[] = [];
  const seen = (worker: Worker) => {
    workers.push(worker);
    timers.push(setTimeout(() => void worker.terminate(), random() * most));
  };
  process.on('worker', seen);
  onTestFinished(() => void process.off('worker', seen));
  let failures = 0;
  for (let round = 0; round < 16; round++) {
    most = 60 * (round + 1);
    const { file, names } = folder();
    const model = await openModel(WHALE);
    const outcome = await quantizeModel(model, file('out'), 'Q8_0', { workers: 2 }).catch((error: unknown) => error);
    await model.close();
    for (const timer of timers) clearTimeout(timer);
    timers = [];
    if (outcome instanceof Error) {
      failures += 1;
      expect(outcome).toMatchObject({ name: 'QuantpressError', code: 'WORKER' });
      expect(names()).toEqual([]);
    } else {
      expect(names()).toEqual(['out']);
      expect(sha256(file('out'))).toBe(WHALE_SHA256.Q8_0);
    }
  }
  expect(failures).toBeGreaterThan(0);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(workers.filter(({ threadId }) => threadId !== -1)).toEqual([]);
});

describe('an output file', () => {
  test('whose input vanishes or shrinks is removed, with one clear error', async () => {
    for (const harm of ['remove', 'shrink'] as const) {
      const { file, names } = folder();
      writeFileSync(file('in'), readFileSync(WHALE));
      const model = await openModel(file('in'));
      if (harm === 'remove') rmSync(file('in'));
      else truncateSync(file('in'), 4_000_000);
      const error = await failure(quantizeModel(model, file('out'), 'Q8_0', { workers: 2 }));
      expect(['NOT_FOUND', 'CHANGED', 'TRUNCATED']).toContain(error.code);
      expect(names()).toEqual(harm === 'remove' ? [] : ['in']);
      await model.close();
    }
  });

  test('is removed if the disk fills up', async () => {
    const { path, file, names } = folder();
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=6m', 'none', path]).status === 0;
    if (mounted) {
      onTestFinished(() => void spawnSync('umount', [path]));
      writeFileSync(file('hog'), new Uint8Array(3_000_000));
      const early = await failure(convert(await whaleSource(), file('out'), 2));
      expect(early).toMatchObject({ code: 'NO_SPACE', details: { needed: 3_938_912 } });
      expect(early.message).toMatch(/needs 3938912 bytes, but the disk has only \d+ free/);
      rmSync(file('hog'));
    }
    const stolen = new FileTarget(file('out'));
    const target: Target = {
      open: (size) => stolen.open(size),
      async write(offset, bytes) {
        if (offset === 0 && mounted) writeFileSync(file('hog'), new Uint8Array(5_000_000));
        // If no small disk is available, simulate the system's error for a full one.
        if (offset > 2_000_000 && !mounted) throw new QuantpressError('NO_SPACE', 'the disk is full');
        await stolen.write(offset, bytes);
      },
      close: () => stolen.close(),
      abort: () => stolen.abort(),
    };
    expect(await failure(convert(await whaleSource(), target, 2))).toMatchObject({
      code: 'NO_SPACE',
      message: expect.stringContaining('the disk is full'),
    });
    expect(names()).toEqual(mounted ? ['hog'] : []);
  });

  test('in a read-only folder is an error', async () => {
    const error = await failure(convert(await whaleSource(), '/proc/out', 0));
    expect(['DENIED', 'NOT_FOUND']).toContain(error.code);
    expect(error.message).toMatch(/^cannot write '\/proc\/out': /);
  });
});

async function whaleSource(): Promise<Source> {
  return source(() => undefined, new Uint8Array(readFileSync(WHALE)));
}

test('exhausted memory is a typed error and leaves nothing', () => {
  const { path, file, names } = folder();
  const row = 1 << 22;
  writeFileSync(file('in'), gguf(LLAMA, [floats('blk.0.ffn_up.weight', [row, 2], wave)]));
  const script = `
    import { readFileSync } from 'node:fs';
    import { init, openModel, quantizeModel } from ${JSON.stringify(new URL('../../dist/node.js', import.meta.url).href)};
    await init({ wasm: limited(new Uint8Array(readFileSync(new URL(${JSON.stringify(new URL('../../dist/quantpress.wasm', import.meta.url).href)})))) });
    for (const workers of [0, 1]) {
      const model = await openModel('in');
      await quantizeModel(model, 'out', 'Q8_0', { workers }).then(() => console.log('done'), (error) => console.log(error.name, error.code));
    }
    /** The same module with a maximum of memory: 96 pages more than it begins with. */
    function limited(bytes) {
      let at = 8;
      const leb = () => { let value = 0; for (let shift = 0; ; shift += 7) { const byte = bytes[at++]; value |= (byte & 127) << shift; if (byte < 128) return value; } };
      const encode = (value) => { const out = []; do { out.push((value & 127) | (value > 127 ? 128 : 0)); value >>>= 7; } while (value > 0); return out; };
      for (;;) {
        const start = at;
        const id = bytes[at++];
        const size = leb();
        const body = at;
        if (id !== 5) { at = body + size; continue; }
        leb();
        const flags = leb();
        const initial = leb();
        const section = [1, 1, ...encode(initial), ...encode(initial + 96)];
        return Uint8Array.from([...bytes.subarray(0, start), 5, ...encode(section.length), ...section, ...bytes.subarray(body + size)]);
      }
    }`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    cwd: path,
    encoding: 'utf8',
  });
  expect(stderr).toBe('');
  expect(stdout).toBe('QuantpressError NO_MEMORY\nQuantpressError NO_MEMORY\n');
  expect(names()).toEqual(['in']);
  expect(statSync(file('in')).size).toBeGreaterThan(row * 8);
});
