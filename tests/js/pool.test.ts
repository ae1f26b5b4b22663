import { writeFileSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { createRunner, type Runner } from '../../dist/pool/pool.js';
import { BytesSource } from '../../dist/io/source/bytes.js';
import { failure } from './support/failure.js';
import { folder } from './support/files.js';

/** A worker whose behaviour is given by the first byte of its task; by default it answers with the id of its thread. */
const SCRIPT = `
  const { parentPort, threadId } = require('node:worker_threads');
  parentPort.on('message', ({ type, id, task }) => {
    if (type !== 'run') return;
    const fail = (poisoned) => parentPort.postMessage({ type: 'failed', id, error: { code: 'PANIC', message: 'ouch', details: {} }, poisoned });
    ({
      0: () => parentPort.postMessage({ type: 'done', id, result: { bytes: Uint8Array.of(threadId) } }),
      1: () => fail(true),
      2: () => fail(false),
      3: () => process.exit(7),
      4: () => { throw new Error('a fault') },
      5: () => {},
    })[task.input[0]]();
  });
`;
const [ANSWER, POISON, FAIL, EXIT, THROW, HANG] = [0, 1, 2, 3, 4, 5];

let runner: Runner;
const signal = new AbortController().signal;

function pool(workers: number): void {
  const script = folder().file('worker.cjs');
  writeFileSync(script, SCRIPT);
  // The smallest module: the workers of this test do not use it.
  const module = new WebAssembly.Module(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0));
  runner = createRunner(new BytesSource(new Uint8Array()), module, { workers, workerUrl: script });
}

afterEach(() => runner.close(new Error('the test is over')));

async function run(order: number): Promise<Uint8Array> {
  const input = Uint8Array.of(order);
  const task = { kind: 'convert', input, task: new Uint8Array(0), passes: false } as const;
  return (await runner.run(task, signal)).bytes;
}

async function thread(): Promise<number> {
  return (await run(ANSWER))[0] ?? 0;
}

describe('a worker', () => {
  test('is kept for the next task, also when a task fails', async () => {
    pool(1);
    const first = await thread();
    expect(await failure(run(FAIL))).toMatchObject({ code: 'PANIC', message: 'ouch' });
    expect(await thread()).toBe(first);
  });

  test('is replaced when its instance is poisoned', async () => {
    pool(1);
    const first = await thread();
    expect(await failure(run(POISON))).toMatchObject({ code: 'PANIC' });
    expect(await thread()).not.toBe(first);
  });

  test.each([
    ['ends', EXIT, /it ended with code 7/],
    ['throws', THROW, /a fault/],
  ])('is replaced if it %s', async (_, order, message) => {
    pool(1);
    const first = await thread();
    expect(await failure(run(order))).toMatchObject({ code: 'WORKER', message: expect.stringMatching(message) });
    expect(await thread()).not.toBe(first);
  });

  test('that fails rejects only its own tasks', async () => {
    pool(2);
    const [here, there] = await Promise.all([thread(), thread()]);
    expect(here).not.toBe(there);
    const [ended, answered] = await Promise.allSettled([run(EXIT), thread()]);
    expect(ended.status).toBe('rejected');
    expect(answered).toMatchObject({ status: 'fulfilled' });
  });
});

test('tasks wait for a free worker, and all are done', async () => {
  pool(3);
  const threads = await Promise.all(Array.from({ length: 40 }, thread));
  expect(new Set(threads).size).toBe(3);
});

test('closing rejects running, waiting and later tasks', async () => {
  pool(1);
  const tasks = [HANG, HANG, HANG].map((order) => run(order));
  await new Promise((resolve) => setTimeout(resolve));
  await Promise.all([
    runner.close(new Error('closed')),
    ...tasks.map((task) => expect(task).rejects.toThrow('closed')),
  ]);
  await expect(run(ANSWER)).rejects.toThrow('closed');
});
