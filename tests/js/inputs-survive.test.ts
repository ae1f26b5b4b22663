/**
 * Inputs are never destroyed: runs every command and call that writes, with each output as an alias of each input,
 * through the same path, a relative one, a detour, a symbolic link and a hard link.
 */

import {
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { open as openHandle } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import {
  init,
  MemoryTarget,
  OpfsTarget,
  openModel,
  openSource,
  openTarget,
  QuantpressError,
  quantizeModel,
  type Source,
  type Target,
} from 'quantpress';
import { beforeAll, describe, expect, test } from 'vitest';
import { quantize } from '../../dist/cli/quantize.js';
import { failure } from './support/failure.js';
import { folder } from './support/files.js';
import {
  JOBS,
  makeFolder,
  makeIndexed,
  makeShards,
  makeSmall,
  NO_SIGNAL,
  type Output,
  type Place,
  SHARDS,
  SMALL,
  shard,
} from './support/output-jobs.js';

beforeAll(() => init());

/** Makes `output` an alias of `input` and returns the argument for the command. */
const ALIASES: Record<string, (place: Place, output: Output, input: string) => string | undefined> = {
  'the same path': (_, { free }, input) => (free ? input : undefined),
  'a relative path': (_, { free }, input) => (free ? relative(process.cwd(), input) : undefined),
  'a detour': (_, { free }, input) =>
    free
      ? join(dirname(input), 'none', '..', basename(input)).replace(basename(input), `./${basename(input)}`)
      : undefined,
  'a linked folder': (place, { free }, input) => {
    if (!free) return undefined;
    symlinkSync(dirname(input), place.file('linked'));
    return join(place.file('linked'), basename(input));
  },
  'a symbolic link': (place, output, input) => linked(place, output, () => symlinkSync(input, place.file(output.file))),
  'links to links': (place, output, input) =>
    linked(place, output, () => {
      symlinkSync(relative(dirname(place.file('step')), input), place.file('step'));
      symlinkSync(place.file('step'), place.file(output.file));
    }),
  'a hard link': (place, output, input) => linked(place, output, () => linkSync(input, place.file(output.file))),
};

/** Aliases that need an argument that is the path of the file itself. */
const BY_PATH = ['the same path', 'a relative path', 'a detour', 'a linked folder'];

function linked(place: Place, { file, given = file }: Output, link: () => void): string {
  mkdirSync(dirname(place.file(file)), { recursive: true });
  link();
  return place.file(given);
}

/** Every file of a folder and its subfolders, with inode and bytes; links with their target. */
function contents(path: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    const file = join(path, entry.name);
    if (entry.isDirectory()) found[`${entry.name}/`] = JSON.stringify(contents(file));
    else if (entry.isSymbolicLink()) found[entry.name] = `link to ${readlinkSync(file)}`;
    else found[entry.name] = `${statSync(file).ino} ${readFileSync(file, 'latin1')}`;
  }
  return found;
}

describe.each(JOBS)('$title', ({ make, reads, outputs, run }) => {
  const free = outputs.some((output) => output.free);
  test.each(Object.keys(ALIASES).filter((alias) => free || !BY_PATH.includes(alias)))(
    'rejects an output that is %s of an input',
    async (alias) => {
      let cases = 0;
      for (const output of outputs) {
        for (const [input, role] of Object.entries(reads)) {
          const place = folder();
          make(place);
          const given = ALIASES[alias]?.(place, output, place.file(input));
          if (given === undefined) continue;
          cases += 1;
          const before = contents(place.path);
          const error = await failure(run(place, output, given));
          expect([output.role, input, error]).toMatchObject([output.role, input, { code: 'SAME_FILE' }]);
          expect(error.message).toContain(`${role} and ${output.role} are the same file`);
          expect(error.details.files).toHaveLength(2);
          // Nothing is changed, nothing is left.
          expect(contents(place.path)).toEqual(before);
        }
      }
      expect(cases).toBeGreaterThan(0);
    },
  );
});

describe('a derived output name', () => {
  test.each<[string, (place: Place) => void, (place: Place) => string[]]>([
    [
      'shards over the shards they are written from',
      makeShards,
      ({ file }) => ['--keep-split', file(shard(0)), file('in.gguf'), 'Q8_0'],
    ],
    ['a folder over itself', makeFolder, ({ file }) => [file('hf'), file('hf'), 'NF4']],
    [
      'a folder over itself, by its weights',
      makeFolder,
      ({ file }) => [file('hf/model.safetensors'), file('hf'), 'NF4'],
    ],
    ['a folder over itself, with a / at the end', makeFolder, ({ file }) => [file('hf'), `${file('hf')}/`, 'FP4']],
    ['a folder of shards over itself', makeIndexed, ({ file }) => [file('hf'), file('hf'), 'NF4']],
    [
      'a default OUT',
      (place) => writeFileSync(place.file('ggml-model-Q8_0.gguf'), SMALL),
      ({ file }) => [file('ggml-model-Q8_0.gguf'), 'Q8_0'],
    ],
  ])('%s', async (_, make, args) => {
    const place = folder();
    make(place);
    const before = contents(place.path);
    expect(await failure(quantize(args(place), NO_SIGNAL))).toMatchObject({ code: 'SAME_FILE' });
    expect(contents(place.path)).toEqual(before);
  });

  test('of a leftover file that would be removed is rejected if it is the input', async () => {
    for (const alias of [false, true]) {
      const place = folder();
      const leftover = place.file('.out.gguf.interrupted.part');
      writeFileSync(alias ? place.file('in.gguf') : leftover, SMALL);
      if (alias) linkSync(place.file('in.gguf'), leftover);
      const before = contents(place.path);
      const input = alias ? place.file('in.gguf') : leftover;
      for (const options of [[], ['--resume']]) {
        const error = await failure(quantize([...options, input, place.file('out.gguf'), 'Q8_0'], NO_SIGNAL));
        expect(error).toMatchObject({ code: 'SAME_FILE' });
        expect(error.message).toContain('IN and a temporary file of OUT are the same file');
        expect(contents(place.path)).toEqual(before);
      }
    }
  });
});

describe('two outputs that are the same file', () => {
  test.each<[string, (place: Place) => void, (place: Place) => string[]]>([
    ['OUT and --manifest', makeSmall, ({ file }) => ['--manifest', file('o'), file('in.gguf'), file('o'), 'Q8_0']],
    ['OUT and --report', makeSmall, ({ file }) => ['--report', file('o'), file('in.gguf'), file('o'), 'Q8_0']],
    [
      '--manifest and --report',
      makeSmall,
      ({ file }) => ['--report', file('r'), '--manifest', file('r'), file('in.gguf'), file('o'), 'Q8_0'],
    ],
    [
      'names that differ in case',
      makeSmall,
      ({ file }) => ['--report', file('R.json'), '--manifest', file('r.json'), file('in.gguf'), file('o'), 'Q8_0'],
    ],
    [
      'names that differ in Unicode form',
      makeSmall,
      ({ file }) => ['--report', file('\u00e9'), '--manifest', file('e\u0301'), file('in.gguf'), file('o'), 'Q8_0'],
    ],
    [
      'a shard and --manifest',
      makeShards,
      ({ file }) => ['--keep-split', '--manifest', file('o-00002-of-00003.gguf'), file(shard(0)), file('o'), 'Q8_0'],
    ],
    [
      'a file of the folder and --report',
      makeFolder,
      ({ file }) => ['--report', file('new/config.json'), file('hf'), file('new'), 'NF4'],
    ],
    [
      'a dangling link and its target',
      (place) => {
        makeSmall(place);
        symlinkSync('o', place.file('link'));
      },
      ({ file }) => ['--manifest', file('link'), file('in.gguf'), file('o'), 'Q8_0'],
    ],
    [
      'hard links',
      (place) => {
        makeSmall(place);
        writeFileSync(place.file('a'), 'old');
        linkSync(place.file('a'), place.file('b'));
      },
      ({ file }) => ['--manifest', file('a'), file('in.gguf'), file('b'), 'Q8_0'],
    ],
  ])('%s', async (_, make, args) => {
    const place = folder();
    make(place);
    const names = readdirSync(place.path).sort();
    const error = await failure(quantize(['--quiet', ...args(place)], NO_SIGNAL));
    expect(error).toMatchObject({ code: 'SAME_FILE', message: expect.stringContaining('both would be written') });
    expect(readdirSync(place.path).sort()).toEqual(names);
  });

  test('are rejected if the caller returns one target for all shards', async () => {
    const { file, names } = folder();
    await using model = await openModel(SHARDS);
    const same = quantizeModel(model, () => file('one'), { preset: 'Q8_0', keepSplit: true }, { workers: 0 });
    expect(await failure(same)).toMatchObject({ code: 'SAME_FILE' });
    expect(names()).toEqual([]);
  });
});

test('a different file is written', async () => {
  const place = folder();
  makeSmall(place);
  mkdirSync(place.file('sub'));
  copyFileSync(place.file('in.gguf'), place.file('old.gguf'));
  const { ino } = statSync(place.file('in.gguf'));
  for (const out of ['sub/in.gguf', 'IN.gguf', 'old.gguf', 'in.gguf.part']) {
    await quantize(
      [
        '--quiet',
        '--threads',
        '0',
        '--manifest',
        '/dev/null',
        '--report',
        '/dev/null',
        place.file('in.gguf'),
        place.file(out),
        'Q8_0',
      ],
      NO_SIGNAL,
    );
    expect(existsSync(place.file(out))).toBe(true);
  }
  expect(statSync(place.file('in.gguf')).ino).toBe(ino);
  expect(readFileSync(place.file('in.gguf')).equals(SMALL)).toBe(true);
});

describe('custom sources and targets', () => {
  test('are compared by the files they declare', async () => {
    const { file } = folder();
    writeFileSync(file('in.gguf'), SMALL);
    const inner = await openSource(SMALL);
    const source: Source = {
      size: inner.size,
      read: (offset, length) => inner.read(offset, length),
      files: async () => [{ kind: 'path', path: file('in.gguf') }],
    };
    await using model = await openModel(source);
    const target: Target = Object.assign(new MemoryTarget(), {
      files: async () => [{ kind: 'path', path: file('in.gguf') } as const],
      open: async () => {
        throw new Error('it is opened for writing');
      },
    });
    expect(await failure(quantizeModel(model, target, 'Q8_0'))).toMatchObject({ code: 'SAME_FILE' });
    expect(await failure(quantizeModel(model, file('in.gguf'), 'Q8_0'))).toMatchObject({ code: 'SAME_FILE' });
  });

  test('a Node FileHandle is rejected as a target, and its file stays', async () => {
    const { file } = folder();
    writeFileSync(file('in.gguf'), SMALL);
    await using handle = await openHandle(file('in.gguf'), 'r+');
    expect(await failure(openTarget(handle as never))).toMatchObject({ code: 'ARGUMENT' });
    expect(readFileSync(file('in.gguf')).equals(SMALL)).toBe(true);
  });
});

describe("a browser's files", () => {
  /** A folder of a browser with one file, as far as opening and comparing it need. */
  function storage(lastModified = 7) {
    const bytes = new Map([['in.gguf', SMALL]]);
    class Handle {
      readonly kind = 'file';
      constructor(readonly name: string) {}
      async getFile() {
        return new File([bytes.get(this.name) ?? ''], this.name, { lastModified });
      }
      async isSameEntry(other: Handle) {
        return other.name === this.name;
      }
      async createWritable(): Promise<never> {
        throw new Error('it is opened for writing');
      }
    }
    const folder = {
      kind: 'directory',
      name: 'storage',
      async getFileHandle(name: string) {
        if (bytes.has(name)) return new Handle(name);
        throw new DOMException('none', 'NotFoundError');
      },
      async *values() {
        for (const name of bytes.keys()) yield new Handle(name);
      },
      isSameEntry: async (other: unknown) => other === folder,
    };
    return {
      folder: folder as unknown as FileSystemDirectoryHandle,
      handle: (name: string) => new Handle(name) as unknown as FileSystemFileHandle,
    };
  }

  test('a handle of the open model is not written', async () => {
    const { folder, handle } = storage();
    for (const input of [handle('in.gguf'), folder, await handle('in.gguf').getFile()]) {
      await using model = await openModel(input);
      for (const target of [handle('in.gguf'), new OpfsTarget(folder, 'in.gguf')]) {
        expect(await failure(quantizeModel(model, target, 'Q8_0', { workers: 0 }))).toMatchObject({
          code: 'SAME_FILE',
          message: expect.stringContaining("the model and the target are the same file: 'in.gguf'"),
        });
      }
    }
  });

  test('a handle whose partial file is the input is not written', async () => {
    const { folder, handle } = storage();
    await using model = await openModel(handle('in.gguf'));
    for (const [name, ending] of [['in.gguf', '.part']] as const) {
      const target = new OpfsTarget(folder, name.slice(0, -ending.length));
      // Only a name with the suffix of a partial file is one.
      expect((await target.files()).map((file) => 'name' in file && file.name)).toContain(`in${ending}`);
    }
    const handles = storage();
    expect(
      await failure(
        quantizeModel(model, () => new OpfsTarget(handles.folder, 'x'), { preset: 'Q8_0', splitMaxSize: 300 }),
      ),
    ).toMatchObject({ code: 'SAME_FILE', message: expect.stringContaining('both would be written') });
  });

  test('a different File of the same name is allowed', async () => {
    await using model = await openModel(await storage(8).handle('in.gguf').getFile());
    const target = storage(9).handle('in.gguf');
    // It reaches the opening of the file.
    await expect(quantizeModel(model, target, 'Q8_0', { workers: 0 })).rejects.toThrow('it is opened for writing');
  });
});

test('SAME_FILE is a declared error code', () => {
  expect(new QuantpressError('SAME_FILE', 'x').kind).toBe('Parameter');
});
