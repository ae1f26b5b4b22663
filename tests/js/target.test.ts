import { lstatSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { BlobTarget, MemoryTarget, openTarget, OpfsTarget, type Target } from 'quantpress';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { InOrder } from '../../dist/io/target/target.js';
import { failure } from './support/failure.js';
import { folder } from './support/files.js';

const text = (content: string) => new TextEncoder().encode(content);

async function fill(target: Target, pieces: readonly [offset: number, content: string][], size: number): Promise<void> {
  await target.open?.(size);
  for (const [offset, content] of pieces) await target.write(offset, text(content));
}

describe('a file', () => {
  test('appears only when it is complete', async () => {
    const { file, names } = folder();
    const target = await openTarget(file('out'));
    await fill(
      target,
      [
        [5, 'world'],
        [0, 'hello'],
      ],
      10,
    );
    expect(names()).toHaveLength(1);
    expect(names()).not.toContain('out');
    await target.close();
    expect(names()).toEqual(['out']);
    expect(readFileSync(file('out'), 'utf8')).toBe('helloworld');
  });

  test('is unchanged when the work is aborted', async () => {
    const { file, names } = folder();
    writeFileSync(file('out'), 'old');
    const target = await openTarget(file('out'));
    await fill(target, [[0, 'new']], 3);
    await target.abort();
    expect(names()).toEqual(['out']);
    expect(readFileSync(file('out'), 'utf8')).toBe('old');
  });

  test('is replaced through a symbolic link, and the link stays', async () => {
    const { file } = folder();
    writeFileSync(file('real'), 'old');
    symlinkSync(file('real'), file('link'));
    const target = await openTarget(file('link'));
    await fill(target, [[0, 'new']], 3);
    await target.close();
    expect(lstatSync(file('link')).isSymbolicLink()).toBe(true);
    expect(readFileSync(file('real'), 'utf8')).toBe('new');
  });

  test('in a folder that does not exist is rejected', async () => {
    const path = folder().file('none/out');
    const target = await openTarget(path);
    const message = `cannot write '${path}': there is no such file or folder`;
    expect(await failure(target.open?.(1) ?? Promise.resolve())).toMatchObject({ code: 'NOT_FOUND', message });
    await target.abort();
  });

  test('with the name of a folder is rejected', async () => {
    const { path, names } = folder();
    const target = await openTarget(path);
    expect(await failure(target.open?.(1) ?? Promise.resolve())).toMatchObject({ code: 'UNSUPPORTED' });
    expect(names()).toEqual([]);
  });

  test('larger than the disk is rejected before anything is written', async () => {
    const { file, names } = folder();
    const target = await openTarget(file('out'));
    const size = 2 ** 52;
    const error = await failure(target.open?.(size) ?? Promise.resolve());
    expect(error).toMatchObject({ code: 'NO_SPACE', details: { needed: size } });
    expect(names()).toEqual([]);
  });

  test('that is a device is written, never replaced', async () => {
    const target = await openTarget('/dev/null');
    expect(target.ordered).toBe(true);
    await fill(target, [[0, 'gone']], 4);
    await target.close();
    expect(statSync('/dev/null').isCharacterDevice()).toBe(true);
  });
});

test('memory has the whole file once it is complete', async () => {
  const target = new MemoryTarget();
  await fill(
    target,
    [
      [3, 'def'],
      [0, 'abc'],
    ],
    6,
  );
  expect(() => target.bytes).toThrow('the target is not complete');
  expect(target.isComplete).toBe(false);
  await target.close();
  expect(target.bytes).toEqual(text('abcdef'));
});

test('a Blob has the whole file once it is complete', async () => {
  const target = new BlobTarget();
  await fill(
    target,
    [
      [0, 'abc'],
      [3, 'def'],
    ],
    6,
  );
  expect(() => target.blob).toThrow('the target is not complete');
  expect(target.isComplete).toBe(false);
  await target.close();
  expect(await target.blob?.text()).toBe('abcdef');
});

test('a stream gets the bytes, and is closed or aborted', async () => {
  const seen: string[] = [];
  const stream = () =>
    new WritableStream<Uint8Array<ArrayBuffer>>({
      write: (chunk) => void seen.push(new TextDecoder().decode(chunk)),
      close: () => void seen.push('closed'),
      abort: (reason) => void seen.push(`aborted: ${reason}`),
    });
  const whole = await openTarget(stream());
  await fill(
    whole,
    [
      [0, 'abc'],
      [3, 'def'],
    ],
    6,
  );
  await whole.close();
  const part = await openTarget(stream());
  await fill(part, [[0, 'abc']], 6);
  await part.abort('enough');
  expect(seen).toEqual(['abc', 'def', 'closed', 'abc', 'aborted: enough']);
});

test('an invalid target is rejected', async () => {
  expect(await failure(openTarget({} as never))).toMatchObject({ code: 'ARGUMENT' });
});

describe('pieces in any order', () => {
  test('are written to an ordered target in order', async () => {
    const lengths = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(
        lengths,
        fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true })),
        async (lengths, random) => {
          const pieces: { offset: number; bytes: Uint8Array<ArrayBuffer>; rank: number }[] = [];
          let size = 0;
          for (const length of lengths) {
            pieces.push({
              offset: size,
              bytes: new Uint8Array(length).fill(pieces.length),
              rank: random.next().value as number,
            });
            size += length;
          }
          const inner = new BlobTarget();
          const offsets: number[] = [];
          const write = inner.write.bind(inner);
          inner.write = (offset, bytes) => {
            offsets.push(offset);
            return write(offset, bytes);
          };
          const target = new InOrder(inner, new AbortController().signal);
          const shuffled = [...pieces].sort((a, b) => a.rank - b.rank);
          await Promise.all(shuffled.map(({ offset, bytes }) => target.write(offset, bytes)));
          await target.close();
          expect(offsets).toEqual(pieces.map(({ offset }) => offset));
          const whole = new Uint8Array((await inner.blob?.arrayBuffer()) ?? new ArrayBuffer(0));
          expect([...whole]).toEqual(pieces.flatMap(({ bytes }) => [...bytes]));
        },
      ),
    );
  });

  test('that wait for a missing piece fail when the work is aborted', async () => {
    const stop = new AbortController();
    const target = new InOrder(new BlobTarget(), stop.signal);
    const waiting = target.write(10, text('late'));
    stop.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    await expect(target.write(20, text('later still'))).rejects.toThrow('enough');
  });
});

describe("the browser's own storage", () => {
  test('is reported as full when it accepts no more bytes', async () => {
    let room = 7;
    const handle = {
      write: (bytes: Uint8Array) => {
        const written = Math.min(bytes.length, room);
        room -= written;
        return written;
      },
      truncate: () => {},
      flush: () => {},
      close: () => {},
    };
    const target = await openTarget(handle);
    await target.write(0, text('hello'));
    expect(await failure(target.write(5, text('world')))).toMatchObject({ code: 'NO_SPACE' });
  });

  test.each([
    ['too little', { quota: 1000, usage: 400 }, { code: 'NO_SPACE', details: { needed: 601, free: 600 } }],
    ['enough', { quota: 1001, usage: 400 }, undefined],
    ['unknown', {}, undefined],
  ])('compares free space before writing: %s', async (_, estimate, refusal) => {
    vi.stubGlobal('navigator', { storage: { estimate: async () => estimate } });
    onTestFinished(() => {
      vi.unstubAllGlobals();
    });
    const folder = { getFileHandle: async () => Promise.reject(new DOMException('none', 'NotFoundError')) };
    const fits = new OpfsTarget(folder as unknown as FileSystemDirectoryHandle, 'model.gguf').fits(601);
    if (refusal) expect(await failure(fits)).toMatchObject(refusal);
    else await fits;
  });
});
