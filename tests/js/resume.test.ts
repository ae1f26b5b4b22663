import { type ChildProcess, spawn } from 'node:child_process';
import { copyFileSync, readdirSync, readFileSync, renameSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import {
  init,
  MemoryTarget,
  openModel,
  type Progress,
  quantizeModel,
  type QuantizeModelOptions,
  type Recipe,
} from 'quantpress';
import { beforeAll, describe, expect, test } from 'vitest';
import { FileTarget } from '../../dist/io/target/file.js';
import { failure } from './support/failure.js';
import { folder, sha256 } from './support/files.js';
import { floats, gguf, LLAMA, wave } from './support/gguf.js';
import { journalOfEngine } from './support/journal.js';
import { uniform } from './support/random.js';
import { WHALE, WHALE_IMATRIX, WHALE_SHA256 } from './support/whale.js';

const CLI = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

beforeAll(() => init());

async function convert(input: string, out: string, recipe: Recipe | Recipe['preset'], options?: QuantizeModelOptions) {
  const model = await openModel(input);
  try {
    return await quantizeModel(model, out, recipe, options);
  } finally {
    await model.close();
  }
}

/** Interrupts a run with `resume` after this many tiles. */
async function interrupted(
  input: string,
  out: string,
  recipe: Recipe | Recipe['preset'],
  tiles: number,
  imatrix?: string,
) {
  const stop = new AbortController();
  let seen = 0;
  const onProgress = () => {
    seen += 1;
    if (seen === tiles) stop.abort();
  };
  const options = { resume: true, workers: 2, imatrix, signal: stop.signal, onProgress };
  await expect(convert(input, out, recipe, options)).rejects.toThrow(/abort/i);
}

const endings = (names: string[]) => names.map((name) => name.replace(/.*\./, '')).sort();

describe('a run that is killed', () => {
  test('twenty times at random moments ends with the identical file and nothing else', async () => {
    const { path, file, names } = folder();
    const random = uniform(Date.now());
    let kills = 0;
    let kept = 0;
    for (let tries = 0; kills < 20 && tries < 80; tries++) {
      const child = spawn(process.execPath, [
        CLI,
        'quantize',
        '--resume',
        '--threads',
        '1',
        WHALE,
        file('out'),
        'IQ4_XS',
      ]);
      const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
      await untilAtWork(child, path);
      const timer = setTimeout(() => child.kill('SIGKILL'), random() * 150);
      const code = await ended;
      clearTimeout(timer);
      if (code === null) {
        kills += 1;
        expect(names()).not.toContain('out');
        kept += endings(names()).join() === 'journal,part' ? 1 : 0;
      } else {
        // The run finished before: the file must be right too.
        expect(code).toBe(0);
        renameSync(file('out'), file(`done-${tries}`));
      }
    }
    expect(kills).toBe(20);
    expect(kept).toBeGreaterThan(5);
    await convert(WHALE, file('out'), 'IQ4_XS', { resume: true });
    await convert(WHALE, file('expected'), 'IQ4_XS');
    for (const done of names()) expect(sha256(file(done))).toBe(sha256(file('expected')));
  });

  test('without --resume leaves files that a run with it resumes', async () => {
    // Seconds of work, so that it can be interrupted even if a busy disk delays the journal.
    const SLOW = 'IQ3_S';
    const { path, file, names } = folder();
    const child = spawn(process.execPath, [CLI, 'quantize', '--threads', '1', WHALE, file('out'), SLOW]);
    const ended = new Promise((resolve) => child.on('close', resolve));
    await untilAtWork(child, path);
    // The first line of the journal has about four hundred bytes.
    const tiles = () => names().some((name) => name.endsWith('journal') && statSync(file(name)).size > 600);
    while (child.exitCode === null && !tiles()) await new Promise((resolve) => setTimeout(resolve, 3));
    child.kill('SIGKILL');
    await ended;
    const report = await convert(WHALE, file('out'), SLOW, { resume: true, hashes: true });
    expect(report.bytesResumed).toBeGreaterThan(0);
    expect(report.sha256).toBe((await convert(WHALE, file('out'), SLOW, { hashes: true })).sha256);
    expect(names()).toEqual(['out']);
  });

  test('leaves files that the next run without resume removes', async () => {
    const { path, file, names } = folder();
    const child = spawn(process.execPath, [CLI, 'quantize', '--threads', '1', WHALE, file('out'), 'IQ4_XS']);
    const ended = new Promise((resolve) => child.on('close', resolve));
    await untilAtWork(child, path);
    // While its process lives, no other run takes its files.
    await convert(WHALE, file('out'), 'Q8_0');
    if (child.exitCode === null) expect(names().some((name) => name.includes(`-${child.pid}-`))).toBe(true);
    child.kill('SIGKILL');
    await ended;
    await convert(WHALE, file('out'), 'Q8_0');
    expect(names()).toEqual(['out']);
    expect(sha256(file('out'))).toBe(WHALE_SHA256.Q8_0);
  });
});

describe('a run that is interrupted', () => {
  test('resumes: reports the bytes resumed, does only the rest, and hashes the whole file', async () => {
    const { file, names } = folder();
    await interrupted(WHALE, file('out'), 'Q8_0', 20);
    expect(endings(names())).toEqual(['journal', 'part']);
    const seen: Progress[] = [];
    const options = { resume: true, hashes: true, onProgress: (progress: Progress) => seen.push(progress) };
    const report = await convert(WHALE, file('out'), 'Q8_0', options);
    expect(names()).toEqual(['out']);
    expect(sha256(file('out'))).toBe(WHALE_SHA256.Q8_0);
    expect(report.sha256).toBe(WHALE_SHA256.Q8_0);
    expect(report.bytesResumed).toBeGreaterThan(0);
    expect(report.bytesResumed).toBeLessThan(report.sourceSize);
    expect(seen.at(-1)).toMatchObject({ bytesResumed: report.bytesResumed });
    const whole = await convert(WHALE, file('again'), 'Q8_0', { hashes: true });
    expect(whole.tensors).toEqual(report.tensors);
    expect(whole.bytesResumed).toBe(0);
  });

  test('can be interrupted again and again', async () => {
    const { file } = folder();
    for (const tiles of [3, 9, 30, 31]) await interrupted(WHALE, file('out'), 'Q8_0', tiles);
    await convert(WHALE, file('out'), 'Q8_0', { resume: true, workers: 0 });
    expect(sha256(file('out'))).toBe(WHALE_SHA256.Q8_0);
  });

  test('resumes from the same source under another name', async () => {
    const { file } = folder();
    copyFileSync(WHALE, file('in'));
    await interrupted(file('in'), file('out'), 'Q8_0', 20);
    renameSync(file('in'), file('other'));
    expect((await convert(file('other'), file('out'), 'Q8_0', { resume: true })).bytesResumed).toBeGreaterThan(0);
    expect(sha256(file('out'))).toBe(WHALE_SHA256.Q8_0);
  });

  test('starts from the beginning if no partial file exists', async () => {
    const { file, names } = folder();
    expect((await convert(WHALE, file('out'), 'Q8_0', { resume: true })).bytesResumed).toBe(0);
    expect(names()).toEqual(['out']);
  });

  test('leaves nothing without resume, and the next run starts over', async () => {
    const { file, names } = folder();
    await interrupted(WHALE, file('out'), 'Q8_0', 20);
    expect((await convert(WHALE, file('out'), 'Q4_0')).bytesResumed).toBe(0);
    expect(names()).toEqual(['out']);
    expect(sha256(file('out'))).toBe(WHALE_SHA256.Q4_0);
  });

  test('leaves no partial file if resuming can only fail again', async () => {
    const { file, names } = folder();
    const weights = floats('blk.0.ffn_up.weight', [4096, 1024], (index) => (index === 4e6 ? Number.NaN : wave(index)));
    writeFileSync(file('in'), gguf(LLAMA, [weights]));
    const error = await failure(convert(file('in'), file('out'), 'Q8_0', { resume: true }));
    expect(error).toMatchObject({ code: 'NON_FINITE' });
    expect(names()).toEqual(['in']);
  });
});

describe('resuming is rejected, and the partial file stays,', () => {
  const cases: Record<string, [changed: string, recipe: Recipe | Recipe['preset'], imatrix: string | undefined]> = {
    'with another preset': ['recipe', 'Q6_K', undefined],
    'with another option': ['recipe', { preset: 'Q8_0', leaveOutputTensor: true }, undefined],
    'with another metadata value': ['recipe', { preset: 'Q8_0', overrideKv: ['a.b=int:1'] }, undefined],
    'with an importance matrix': ['imatrix', 'Q8_0', WHALE_IMATRIX],
  };
  test.each(Object.entries(cases))('%s', async (_, [changed, recipe, imatrix]) => {
    const { file, names } = folder();
    await interrupted(WHALE, file('out'), 'Q8_0', 20);
    const error = await failure(convert(WHALE, file('out'), recipe, { resume: true, imatrix }));
    expect(error).toMatchObject({ code: 'CHANGED', details: { changed } });
    expect(endings(names())).toEqual(['journal', 'part']);
    expect((await convert(WHALE, file('out'), 'Q8_0', { resume: true })).bytesResumed).toBeGreaterThan(0);
    expect(sha256(file('out'))).toBe(WHALE_SHA256.Q8_0);
  });

  test('with a source that was changed', async () => {
    const { file } = folder();
    copyFileSync(WHALE, file('in'));
    await interrupted(file('in'), file('out'), 'Q8_0', 20);
    utimesSync(file('in'), 1e9, 1e9);
    const error = await failure(convert(file('in'), file('out'), 'Q8_0', { resume: true }));
    expect(error).toMatchObject({ code: 'CHANGED', details: { changed: 'source' } });
    expect(error.message).toContain('the source is a different file');
  });

  test('with another engine', async () => {
    const { file, names } = folder();
    await interrupted(WHALE, file('out'), 'Q8_0', 20);
    const journal = file(names().find((name) => name.endsWith('journal')) ?? '');
    writeFileSync(journal, journalOfEngine(readFileSync(journal, 'utf8'), '0.0.1'));
    const error = await failure(convert(WHALE, file('out'), 'Q8_0', { resume: true }));
    expect(error).toMatchObject({ code: 'CHANGED', details: { changed: 'engine' } });
    expect(error.message).toContain('version 0.0.1');
  });

  test('while another run is using it', async () => {
    const { file, names } = folder();
    const other = new FileTarget(file('out'));
    await other.open(1);
    expect(await failure(convert(WHALE, file('out'), 'Q8_0', { resume: true }))).toMatchObject({ code: 'BUSY' });
    expect(names()).toHaveLength(1);
    await other.abort();
  });

  test('at a target that cannot resume', async () => {
    const model = await openModel(WHALE);
    const target = new MemoryTarget();
    expect(await failure(quantizeModel(model, target, 'Q8_0', { resume: true }))).toMatchObject({
      code: 'UNSUPPORTED',
    });
    await model.close();
  });
});

describe('damage never gives a wrong file:', () => {
  /** Kinds of damage to the leftovers. */
  const damages: Record<string, (bytes: Buffer, random: () => number) => Uint8Array> = {
    'a journal cut anywhere': (bytes, random) => bytes.subarray(0, Math.floor(random() * bytes.length)),
    'a journal with a byte changed': (bytes, random) => {
      bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
      return bytes;
    },
    'an empty journal': () => new Uint8Array(0),
    'a journal of something else': () => Buffer.from('{"done": true}\n'.repeat(50)),
    'a journal with lines in another order': (bytes) => Buffer.from(bytes.toString().split('\n').reverse().join('\n')),
  };
  test.each(Object.entries(damages))('%s', async (_, damage) => {
    const random = uniform(7);
    for (let round = 0; round < 2; round++) {
      const { file, names } = folder();
      await interrupted(WHALE, file('out'), 'Q8_0', 12);
      const journal = file(names().find((name) => name.endsWith('journal')) ?? '');
      writeFileSync(journal, damage(readFileSync(journal), random));
      await convert(WHALE, file('out'), 'Q8_0', { resume: true });
      expect(sha256(file('out'))).toBe(WHALE_SHA256.Q8_0);
      expect(names()).toEqual(['out']);
    }
  });

  test('a partial file with bytes changed, or truncated', async () => {
    for (const cut of [false, true]) {
      const { file, names } = folder();
      await interrupted(WHALE, file('out'), 'Q8_0', 20);
      const part = file(names().find((name) => name.endsWith('part')) ?? '');
      const bytes = readFileSync(part);
      for (let at = 100_000; at < bytes.length; at += 50_000) bytes[at] = (bytes[at] ?? 0) ^ 1;
      writeFileSync(part, cut ? bytes.subarray(0, bytes.length / 2) : bytes);
      await convert(WHALE, file('out'), 'Q8_0', { resume: true });
      expect(sha256(file('out'))).toBe(WHALE_SHA256.Q8_0);
    }
  });
});

/** Kills only a run that has started: before that there is nothing to resume. */
async function untilAtWork(child: ChildProcess, path: string): Promise<void> {
  while (child.exitCode === null && !readdirSync(path).some((name) => name.includes(`-${child.pid}-`))) {
    await new Promise((resolve) => setTimeout(resolve, 3));
  }
}
