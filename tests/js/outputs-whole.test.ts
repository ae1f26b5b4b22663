/** Outputs are written whole or not at all, however the program ends, and impossible names are rejected first. */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import {
  closeSync,
  constants as modes,
  copyFileSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { constants } from 'node:os';
import { join } from 'node:path';
import { init, openModel, openTarget, type PresetName, quantizeModel, type Source } from 'quantpress';
import { beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { quantize } from '../../dist/cli/quantize.js';
import { verify } from '../../dist/cli/verify.js';
import { CLI } from './support/cli.js';
import { failure } from './support/failure.js';
import { folder, sha256 } from './support/files.js';
import { floats, gguf, ggufHeader, LLAMA, padded, TYPE, wave } from './support/gguf.js';
import { ggufSplit, shardName } from './support/gguf-split.js';
import { safetensorsFile } from './support/safetensors.js';
import { WHALE, WHALE_SHA256 } from './support/whale.js';

beforeAll(() => init());

const NO_SIGNAL = new AbortController().signal;
const SMALL = gguf(
  LLAMA,
  Array.from({ length: 6 }, (_, index) => floats(`blk.${index}.ffn_up.weight`, [64, 8], (at) => wave(at + index))),
);
const SHARDS = ggufSplit(SMALL, { maxTensors: 2 });

/** The functions of `node:fs/promises` that targets use, which a test can make fail. */
const fs = process.getBuiltinModule('node:fs/promises');
type Call = 'rename' | 'rm' | 'open' | 'statfs';

function intercept<K extends Call>(name: K, before: (...args: Parameters<(typeof fs)[K]>) => void): void {
  const original = fs[name] as (...args: unknown[]) => Promise<unknown>;
  const spy = vi.spyOn(fs, name as 'rename').mockImplementation((async (...args: unknown[]) => {
    before(...(args as Parameters<(typeof fs)[K]>));
    return original(...args);
  }) as never);
  onTestFinished(() => spy.mockRestore());
}

/** Simulates the death of this process, as far as its files are concerned, at the n-th rename or removal. */
function mortal(): (step: number | undefined) => void {
  let left = Number.POSITIVE_INFINITY;
  // A killed process does nothing more: it neither finishes nor cleans up.
  intercept('rename', () => {
    if (left-- <= 0) throw fault('EIO');
  });
  intercept('rm', () => {
    if (left-- <= 0) throw fault('EIO');
  });
  intercept('open', () => {
    if (left < 0) throw fault('EIO');
  });
  return (step) => {
    left = step ?? Number.POSITIVE_INFINITY;
  };
}

const fault = (code: string) => Object.assign(new Error(code), { code });
const digest = (path: string) =>
  Object.fromEntries(
    readdirSync(path)
      .sort()
      .map((name) => [name, sha256(join(path, name))]),
  );

async function requantized(place: ReturnType<typeof folder>, preset: PresetName, out = 'out.gguf'): Promise<void> {
  const model = await openModel(SHARDS);
  try {
    await quantizeModel(model, place.file(out), { preset, keepSplit: true }, { workers: 0 });
  } finally {
    await model.close();
  }
}

/** Renames the partial files of a folder as if their process had been killed. */
function orphan(path: string): void {
  for (const name of readdirSync(path)) {
    if (name.startsWith('.')) renameSync(join(path, name), join(path, name.replace(`-${process.pid}-`, '-999999999-')));
  }
}

describe('a set of shards that replaces another', () => {
  test('leaves the old set, the new set or no set if it is killed at any rename or removal', async () => {
    const [old, made] = [folder(), folder()];
    await requantized(old, 'Q8_0');
    await requantized(made, 'Q4_0');
    const sets = [digest(old.path), digest(made.path)];
    const dieAt = mortal();
    const outcomes = new Set<string>();
    for (let death = 0, ended = false; !ended; death++) {
      const place = folder();
      for (const name of old.names()) copyFileSync(old.file(name), place.file(name));
      dieAt(death);
      ended = await requantized(place, 'Q4_0').then(
        () => true,
        () => false,
      );
      dieAt(undefined);
      const model = await openModel(place.file(shardName('out', 0, 3))).catch(() => undefined);
      await model?.close();
      const now = Object.fromEntries(Object.entries(digest(place.path)).filter(([name]) => !name.startsWith('.')));
      const which = sets.findIndex((set) => JSON.stringify(set) === JSON.stringify(now));
      if (model) expect([death, which]).not.toEqual([death, -1]);
      outcomes.add(model ? `set ${which}` : 'no set');
      // The next run ends with the new set and nothing else.
      orphan(place.path);
      await requantized(place, 'Q4_0');
      expect(digest(place.path)).toEqual(sets[1]);
      expect(death).toBeLessThan(100);
    }
    expect([...outcomes].sort()).toEqual(['no set', 'set 0', 'set 1']);
  });

  test('leaves the old set if one of its files cannot be moved', async () => {
    for (let failing = 0; failing < 3; failing++) {
      const place = folder();
      await requantized(place, 'Q8_0');
      const before = digest(place.path);
      const intercepted = shardName('out', failing, 3);
      intercept('rename', (from) => {
        if (String(from) === place.file(intercepted)) throw fault('EBUSY');
      });
      await expect(requantized(place, 'Q4_0')).rejects.toMatchObject({ code: 'IO' });
      expect(digest(place.path)).toEqual(before);
      vi.restoreAllMocks();
    }
  });
});

const CONFIG = JSON.stringify({ architectures: ['LlamaForCausalLM'], model_type: 'llama', torch_dtype: 'float32' });

/** A small Hugging Face folder with a long README. */
function hub(path: string): void {
  const data = Float32Array.from({ length: 8 * 64 }, (_, index) => wave(index));
  const tensor = { dtype: 'F32', shape: [8, 64], data: new Uint8Array(data.buffer) };
  mkdirSync(path);
  writeFileSync(join(path, 'model.safetensors'), safetensorsFile({ 'model.layers.0.mlp.up_proj.weight': tensor }));
  writeFileSync(join(path, 'config.json'), CONFIG);
  writeFileSync(join(path, 'README.md'), 'long '.repeat(20_000));
}

describe('a disk that is full leaves the old file', () => {
  /** A file size limit of 16 KiB for one process, which needs no privileges. */
  const limited = (...args: string[]) =>
    spawnSync('sh', ['-c', 'ulimit -f 32; exec "$0" "$@"', process.execPath, CLI, ...args], { encoding: 'utf8' });
  const many = gguf(
    LLAMA,
    Array.from({ length: 90 }, (_, index) => floats(`blk.${index}.attn_norm.weight`, [8], wave)),
  );

  test.each(['--manifest', '--report'])('of %s', (option) => {
    const { file, names } = folder();
    writeFileSync(file('in.gguf'), many);
    writeFileSync(file('beside.json'), 'old');
    const { status, stderr } = limited(
      'quantize',
      '--quiet',
      option,
      file('beside.json'),
      file('in.gguf'),
      file('out.gguf'),
      'Q8_0',
    );
    expect([status, stderr]).toEqual([1, expect.stringContaining(`cannot write '${file('beside.json')}': the `)]);
    expect(readFileSync(file('beside.json'), 'utf8')).toBe('old');
    // The model is complete: it fits.
    expect(names()).toEqual(['beside.json', 'in.gguf', 'out.gguf']);
  });

  test('of verify --write', () => {
    const { file, names } = folder();
    writeFileSync(file('in.gguf'), many);
    writeFileSync(file('sums.json'), 'old');
    const { status } = limited('verify', '--quiet', '--write', file('sums.json'), file('in.gguf'));
    expect(status).toBe(1);
    expect(readFileSync(file('sums.json'), 'utf8')).toBe('old');
    expect(names()).toEqual(['in.gguf', 'sums.json']);
  });

  test('of any file of an NF4 folder, and the folder is unchanged', () => {
    const { file } = folder();
    hub(file('hf'));
    mkdirSync(file('out'));
    for (const name of ['model.safetensors', 'config.json', 'README.md']) writeFileSync(join(file('out'), name), 'old');
    const before = digest(file('out'));
    const { status, stderr } = limited('quantize', '--quiet', file('hf'), file('out'), 'NF4');
    expect([status, stderr]).toEqual([1, expect.stringContaining(join(file('out'), 'README.md'))]);
    expect(digest(file('out'))).toEqual(before);
    // A folder that was created for it is removed.
    expect(limited('quantize', '--quiet', file('hf'), join(file('new'), 'deep'), 'NF4').status).toBe(1);
    expect(readdirSync(join(file('hf'), '..')).sort()).toEqual(['hf', 'out']);
  });
});

test('a killed NF4 conversion never leaves the old config.json next to new weights', async () => {
  const place = folder();
  hub(place.file('hf'));
  const convert = (preset: string) =>
    quantize(['--quiet', '--threads', '0', place.file('hf'), place.file('out'), preset], NO_SIGNAL);
  const states = new Map<string, string>();
  for (const preset of ['NF4', 'FP4']) {
    await convert(preset);
    const now = digest(place.file('out'));
    states.set(now['model.safetensors'] ?? '', now['config.json'] ?? '');
  }
  const dieAt = mortal();
  let mixed = 0;
  for (let death = 0, ended = false; !ended; death++) {
    await convert('NF4');
    dieAt(death);
    ended = await convert('FP4').then(
      () => true,
      () => false,
    );
    dieAt(undefined);
    orphan(place.file('out'));
    const { 'model.safetensors': weights, 'config.json': config } = digest(place.file('out'));
    if (weights === undefined || config === undefined) mixed += 1;
    else expect([death, config]).toEqual([death, states.get(weights)]);
  }
  expect(mixed).toBeGreaterThan(0); // Without a config.json no program treats the folder as a model.
  await convert('FP4');
  expect(readdirSync(place.file('out')).sort()).toEqual(['README.md', 'config.json', 'model.safetensors']);
});

/** Takes some seconds, for 2 GiB of zeros that take no disk space. */
function endless(path: string): void {
  const size = 2 ** 31;
  const tensor = { name: 'blk.0.ffn_up.weight', type: TYPE.F16, shape: [4096, size / 8192], size: padded(size) };
  const header = ggufHeader(LLAMA, [tensor]);
  writeFileSync(path, header);
  truncateSync(path, header.length + size);
}

/** Runs the program; `act` is called when it begins to work. Returns the exit code of a shell: 128 + n for signal n. */
function program(args: string[], act: (child: ChildProcess) => void): Promise<number> {
  const child = spawn(process.execPath, [CLI, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
  let acted = false;
  child.stderr?.on('data', (chunk) => {
    if (acted || !String(chunk).includes('%')) return;
    acted = true;
    act(child);
  });
  return new Promise((resolve) =>
    child.on('close', (code, signal) => resolve(code ?? 128 + constants.signals[signal ?? 'SIGKILL'])),
  );
}

describe('a conversion finishes despite', () => {
  test.runIf(process.platform === 'linux')('a full standard error', () => {
    const { file, names } = folder();
    const args = [process.execPath, CLI, 'quantize', '--report', file('r.json'), WHALE, file('out'), 'Q8_0'];
    const { status } = spawnSync('sh', ['-c', 'exec "$0" "$@" 2>/dev/full', ...args]);
    expect(status).toBe(0);
    expect(sha256(file('out'))).toBe(WHALE_SHA256.Q8_0);
    expect(names()).toEqual(['out', 'r.json']);
  });

  test('a closed standard error and output', async () => {
    const { file, names } = folder();
    const child = spawn(process.execPath, [CLI, 'quantize', WHALE, file('out'), 'Q8_0']);
    child.stderr.destroy();
    child.stdout.destroy();
    expect(await new Promise((resolve) => child.on('close', resolve))).toBe(0);
    expect(sha256(file('out'))).toBe(WHALE_SHA256.Q8_0);
    expect(names()).toEqual(['out']);
  });
});

describe('signals', () => {
  test.each([
    ['SIGINT', 2, 130],
    ['SIGTERM', 3, 143],
    ['SIGHUP', 1, 129],
    ['SIGQUIT', 1, 131],
  ] as const)('%s, %i times at once, leaves nothing', async (signal, times, code) => {
    const { file, names } = folder();
    endless(file('in.gguf'));
    const ended = await program(['quantize', file('in.gguf'), file('out.gguf'), 'Q6_K'], (child) => {
      for (let time = 0; time < times; time++) setTimeout(() => child.kill(signal), 3 * time);
    });
    expect([ended, names()]).toEqual([code, ['in.gguf']]);
  });

  test('with --resume leave a partial file that can be resumed, and no manifest', async () => {
    const { file, names } = folder();
    endless(file('in.gguf'));
    const args = ['quantize', '--resume', '--manifest', file('m.json'), file('in.gguf'), file('out.gguf'), 'Q6_K'];
    const ended = await program(args, (child) => {
      for (const _ of [1, 2]) child.kill('SIGINT');
    });
    expect(ended).toBe(130);
    // On a slow machine the second signal ends the program before it has removed them.
    const left = names().map((name) => name.replace(/^(\.out\.gguf)\..*\.(?=journal|part)/, '$1.'));
    expect(left).toEqual(['.out.gguf.journal', '.out.gguf.part', 'in.gguf']);
  });
});

describe('a named pipe', () => {
  const pipe = (path: string) => expect(spawnSync('mkfifo', [path]).status).toBe(0);

  test('without a reader stays when the run is aborted', async () => {
    const { file } = folder();
    pipe(file('pipe'));
    const stop = new AbortController();
    await using model = await openModel(SMALL);
    setTimeout(() => stop.abort(new Error('enough')), 30);
    await expect(quantizeModel(model, file('pipe'), 'Q8_0', { signal: stop.signal })).rejects.toThrow('enough');
  });

  test('whose reader does not read stays too', async () => {
    const { file } = folder();
    pipe(file('pipe'));
    const reader = openSync(file('pipe'), modes.O_RDONLY | modes.O_NONBLOCK);
    onTestFinished(() => closeSync(reader));
    const stop = new AbortController();
    await using model = await openModel(WHALE);
    const onProgress = () => void setTimeout(() => stop.abort(new Error('enough')), 30);
    setTimeout(onProgress, 300);
    const work = quantizeModel(model, file('pipe'), 'Q8_0', { signal: stop.signal, onProgress, workers: 1 });
    await expect(work).rejects.toThrow('enough');
  });

  test('gets every byte', () => {
    const { file } = folder();
    pipe(file('pipe'));
    const script = '"$0" "$1" quantize --quiet "$2" "$3" Q8_0 & cat "$3" > "$4"; wait $!';
    const args = [process.execPath, CLI, WHALE, file('pipe'), file('copy')];
    expect(spawnSync('sh', ['-c', script, ...args]).status).toBe(0);
    expect(sha256(file('copy'))).toBe(WHALE_SHA256.Q8_0);
  });
});

function made(file: (name: string) => string, make: (path: string) => void): string {
  make(file('made'));
  return file('made');
}

/** A model whose weights must not be read. */
async function untouched() {
  const header = SMALL.length - 6 * 64 * 8 * 4;
  const source: Source = {
    size: SMALL.length,
    read: async (offset, length) => {
      if (offset >= header) throw new Error('the work has begun');
      return SMALL.slice(offset, offset + length);
    },
  };
  const model = await openModel(source);
  return model;
}

describe('names of outputs', () => {
  test.each([
    ['of 230 bytes', 'n'.repeat(230)],
    ['of 255 bytes', `${'n'.repeat(250)}.gguf`],
    ['of 255 bytes in 85 characters', '語'.repeat(85)],
    ['with a dot first', `.${'n'.repeat(254)}`],
  ])('%s are written, interrupted and resumed', async (_, name) => {
    const { file, names } = folder();
    const stop = new AbortController();
    const options = { resume: true, workers: 1 };
    await using model = await openModel(WHALE);
    const onProgress = ({ bytesDone }: { bytesDone: number }) => {
      if (bytesDone > 2e6) stop.abort(new Error('enough'));
    };
    const first = quantizeModel(model, file(name), 'Q8_0', { ...options, onProgress, signal: stop.signal });
    await expect(first).rejects.toThrow('enough');
    expect(names().map((left) => left.replace(/.*\./, ''))).toEqual(['journal', 'part']);
    expect(Math.max(...names().map((left) => Buffer.byteLength(left)))).toBeLessThan(143);
    const { bytesResumed } = await quantizeModel(model, file(name), 'Q8_0', options);
    expect(bytesResumed).toBeGreaterThan(0);
    expect(names()).toEqual([name]);
    expect(sha256(file(name))).toBe(WHALE_SHA256.Q8_0);
  });

  test.each<[string, (file: (name: string) => string) => string | Promise<string>, string, string]>([
    ['too long', (file) => file('n'.repeat(256)), 'ARGUMENT', 'too long'],
    ['too long in three-byte characters', (file) => file('語'.repeat(86)), 'ARGUMENT', 'too long'],
    ['empty', () => '', 'ARGUMENT', 'empty'],
    ['with a / at the end', (file) => `${file('new')}/`, 'ARGUMENT', 'not the path of a file'],
    ['of a folder', (file) => file(''), 'ARGUMENT', 'not the path of a file'],
    ['of a folder, without a /', (file) => join(file('.')), 'UNSUPPORTED', 'it is a directory'],
    [
      'below a file',
      (file) => made(file, (path) => writeFileSync(path, '')).concat('/new'),
      'NOT_FOUND',
      'not a folder',
    ],
    ['of circular links', (file) => made(file, (path) => symlinkSync(path, path)), 'ARGUMENT', 'form a cycle'],
    [
      'of a link into no folder',
      (file) => made(file, (path) => symlinkSync('no/new', path)),
      'NOT_FOUND',
      'no such file or folder',
    ],
    [
      'of a socket',
      async (file) => {
        const server = createServer();
        onTestFinished(() => void server.close());
        await new Promise<void>((resolve) => server.listen(file('s'), resolve));
        return file('s');
      },
      'UNSUPPORTED',
      'it is a socket',
    ],
  ])('%s are rejected before the work', async (_, make, code, says) => {
    const place = folder();
    const out = await make((name) => (name === '' ? `${place.path}/` : place.file(name)));
    const before = place.names();
    const model = await untouched();
    const error = await failure(quantizeModel(model, out, 'Q8_0', { workers: 0 }));
    expect(error).toMatchObject({ code, message: expect.stringContaining(says) });
    expect(place.names()).toEqual(before);
    await model.close();
  });

  test.each(['', 'new/'])("'%s' is rejected as the prefix of shards and as a sidecar file", async (out) => {
    const model = await untouched();
    const split = quantizeModel(model, out, { preset: 'Q8_0', splitMaxSize: 500 }, { workers: 0 });
    expect(await failure(split)).toMatchObject({ code: 'ARGUMENT' });
    await model.close();
    const { file, names } = folder();
    writeFileSync(file('in.gguf'), SMALL);
    for (const option of ['--report', '--manifest']) {
      const run = quantize([option, out, file('in.gguf'), file('out.gguf'), 'Q8_0'], NO_SIGNAL);
      expect(await failure(run)).toMatchObject({ code: 'ARGUMENT' });
    }
    expect(await failure(verify(['--write', out, file('in.gguf')], NO_SIGNAL))).toMatchObject({ code: 'ARGUMENT' });
    expect(names()).toEqual(['in.gguf']);
  });

  test('of sidecar files that cannot be written are rejected before the work', async () => {
    const { file, names } = folder();
    writeFileSync(file('in.gguf'), SMALL);
    for (const option of ['--report', '--manifest']) {
      const run = quantize([option, file('none/r.json'), file('in.gguf'), file('out.gguf'), 'Q8_0'], NO_SIGNAL);
      expect(await failure(run)).toMatchObject({ code: 'NOT_FOUND' });
      expect(names()).toEqual(['in.gguf']);
    }
  });

  test('that are dangling links create the file they point to', async () => {
    const { file, names } = folder();
    mkdirSync(file('sub'));
    symlinkSync('sub/new', file('one'));
    symlinkSync('one', file('two'));
    await using model = await openModel(SMALL);
    await quantizeModel(model, file('two'), 'Q8_0', { workers: 0 });
    for (const link of ['one', 'two']) expect(lstatSync(file(link)).isSymbolicLink()).toBe(true);
    expect(readdirSync(file('sub'))).toEqual(['new']);
    expect(names()).toEqual(['one', 'sub', 'two']);
  });
});

test('host name and free space are optional where the runtime denies them', async () => {
  // Deno needs --allow-sys for these.
  const os = process.getBuiltinModule('node:os');
  const spy = vi.spyOn(os, 'hostname').mockImplementation(() => {
    throw new Error('Requires sys access to "hostname"');
  });
  onTestFinished(() => spy.mockRestore());
  intercept('statfs', () => {
    throw new Error('Requires sys access to "statfs"');
  });
  vi.resetModules(); // The module asks only once.
  const { newOwner, isAlive } = await import('../../dist/io/target/partial-file-owner.js');
  expect(isAlive(newOwner(), 0)).toBe(true);
  const { file } = folder();
  const target = await openTarget(file('out'));
  await target.open?.(3);
  await target.write(0, new Uint8Array(3));
  await target.close();
  expect(readFileSync(file('out'))).toHaveLength(3);
});
