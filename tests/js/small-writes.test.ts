import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FileTarget } from '../../dist/io/target/file.js';
import { SmallWrites } from '../../dist/io/target/small-writes.js';
import { folder } from './support/files.js';

const bytes = (length: number, value = 1) => new Uint8Array(length).fill(value);

describe('small writes', () => {
  test('to adjacent ranges become one', async () => {
    const calls: [offset: number, length: number][] = [];
    const small = new SmallWrites(async (offset, { length }) => void calls.push([offset, length]));
    for (let index = 0; index < 4096; index++) await small.add(index * 64, bytes(64));
    await small.empty();
    expect(calls).toEqual([0, 1, 2, 3].map((index) => [index << 16, 1 << 16]));
  });

  test('of any size in any order write every byte once, at its offset', async () => {
    const size = fc.oneof({ weight: 9, arbitrary: fc.integer({ min: 0, max: 9000 }) }, fc.constant(1 << 16));
    const writes = fc.array(fc.record({ size, order: fc.nat(40) }), { maxLength: 80 });
    await fc.assert(
      fc.asyncProperty(writes, async (writes) => {
        let end = 0;
        const pieces = writes.map(({ size, order }, index) => {
          const piece = { offset: end, bytes: bytes(size, index + 1), turn: index + order };
          end += size;
          return piece;
        });
        const [got, times] = [new Uint8Array(end), new Uint8Array(end)];
        const small = new SmallWrites(async (offset, bytes) => {
          await Promise.resolve();
          got.set(bytes, offset);
          for (let at = offset; at < offset + bytes.length; at++) times[at] = (times[at] ?? 0) + 1;
        });
        const sorted = [...pieces].sort((a, b) => a.turn - b.turn);
        await Promise.all(
          sorted.map(async ({ offset, bytes }) => {
            const own = bytes.slice();
            await small.add(offset, own);
            // The caller may reuse the buffer.
            own.fill(0);
          }),
        );
        await small.empty();
        const want = new Uint8Array(end);
        for (const { offset, bytes } of pieces) want.set(bytes, offset);
        expect(Buffer.compare(got, want)).toBe(0);
        expect(times.every((count) => count === 1)).toBe(true);
      }),
      { seed: 14, numRuns: 60 },
    );
  });

  test('wait in `empty` for joined writes that are still in progress', async () => {
    let finish: () => void = () => {};
    const small = new SmallWrites(() => new Promise((resolve) => (finish = resolve)));
    const added = Array.from({ length: 8 }, (_, index) => small.add(index << 13, bytes(1 << 13)));
    let empty = false;
    const emptied = small.empty().then(() => (empty = true));
    await new Promise(setImmediate);
    expect(empty).toBe(false);
    finish();
    await Promise.all([emptied, ...added]);
    expect(empty).toBe(true);
  });

  test('that fail make all later writes fail', async () => {
    const full = new Error('full');
    const small = new SmallWrites(() => Promise.reject(full));
    await small.add(0, bytes(5));
    await expect(small.empty()).rejects.toBe(full);
    await expect(small.empty()).rejects.toBe(full);
    await expect(small.add(5, bytes(5))).rejects.toBe(full);
  });
});

describe('small writes of a file', () => {
  const text = (content: string) => new TextEncoder().encode(content);

  async function begun() {
    const { file, names } = folder();
    const target = new FileTarget(file('out'));
    await target.open(10);
    await target.write(5, text('world'));
    await target.write(0, text('hello'));
    const part = () => readFileSync(file(names().find((name) => name.endsWith('.part')) ?? ''), 'utf8');
    return { target, part, file };
  }

  test('are on disk before the journal records them', async () => {
    const { target, part } = await begun();
    await target.log(text('entry'));
    expect(part()).toBe('helloworld');
    await target.abort();
  });

  test('are on disk before the file is read back, flushed or left for another run', async () => {
    const { target } = await begun();
    expect(new TextDecoder().decode(await target.read(0, 10))).toBe('helloworld');
    await target.abort();
    const flushed = await begun();
    await flushed.target.flush();
    expect(flushed.part()).toBe('helloworld');
    await flushed.target.suspend();
    const left = await begun();
    await left.target.suspend();
    expect(left.part()).toBe('helloworld');
    const closed = await begun();
    await closed.target.close();
    expect(readFileSync(closed.file('out'), 'utf8')).toBe('helloworld');
  });
});
