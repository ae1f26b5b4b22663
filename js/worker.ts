/** The worker: one thread with its own wasm instance. Node's worker_threads and Web Workers run this same file. */

import type { ErrorCode } from './engine/error.js';
import { builtin } from './engine/platform.js';
import { reopenSource } from './io/source/open.js';
import { start as startEngine } from './engine/wasm.js';
import { Workbench } from './pool/tasks.js';
import { opfs } from './pool/opfs-files.js';
import { packError, type FromWorker, type Result, type ToWorker } from './pool/protocol.js';

interface Port {
  postMessage(message: FromWorker, transfer: Transferable[]): void;
}

const parent = builtin('node:worker_threads')?.parentPort;
const port = (parent ?? globalThis) as unknown as Port;

/** After a trap the instance's memory may be corrupt. */
const POISONING = new Set<ErrorCode>(['PANIC', 'WORKER']);

// Tasks that arrive while the source is being opened wait for it, and fail if it fails.
let bench: Promise<Workbench>;

function receive(message: ToWorker): void {
  if (message.type === 'run') {
    void answer(message.id, async () => (await bench).run(message.task));
    return;
  }
  if (message.type === 'opfs') {
    void answer(message.id, () => opfs(message.call));
    return;
  }
  bench = start(message);
  bench.catch(() => {});
}

async function start({ module, source }: Extract<ToWorker, { type: 'start' }>): Promise<Workbench> {
  await startEngine(() => module);
  return new Workbench(source && (await reopenSource(source)));
}

async function answer(id: number, work: () => Promise<Result>): Promise<void> {
  try {
    const result = await work();
    port.postMessage({ type: 'done', id, result }, buffersOf(result));
  } catch (error) {
    const packed = packError(error);
    port.postMessage({ type: 'failed', id, error: packed, poisoned: POISONING.has(packed.code) }, []);
  }
}

/** The parts of a result that are transferred, not copied. */
function buffersOf(result: Result): ArrayBuffer[] {
  const parts: unknown[] = ArrayBuffer.isView(result) ? [result] : Object.values(result);
  return parts.flatMap((part) => (ArrayBuffer.isView(part) ? [part.buffer as ArrayBuffer] : []));
}

if (parent) parent.on('message', receive);
else globalThis.addEventListener('message', (event: MessageEvent<ToWorker>) => receive(event.data));
