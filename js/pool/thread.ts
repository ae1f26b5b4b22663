/** One interface for workers of Node and of browsers. */

import { builtin } from '../engine/platform.js';
import type { FromWorker, ToWorker } from './protocol.js';

/** A running worker. */
export interface Thread {
  post(message: ToWorker, transfer: Transferable[]): void;
  /** Terminates it at once. */
  terminate(): Promise<void>;
}

/** The events of a worker. After `failed` it is unusable. */
export interface ThreadEvents {
  message(message: FromWorker): void;
  failed(reason: string): void;
}

/** The URL of the embedded worker (`quantpress/inline`). */
let carried: URL | string | undefined;

/**
 * Whether workers are started from text. A page's Content-Security-Policy may forbid that (`worker-src 'self'`), which
 * shows only when one is started: callers must have a fallback.
 */
export function carriesWorker(): boolean {
  return carried !== undefined;
}

/** Starts workers from text, not from the file next to this one. */
export function carryWorker(text: string): void {
  // Node does not load Blobs, and browsers treat `data:` as another origin.
  carried ??=
    typeof Worker === 'function'
      ? URL.createObjectURL(new Blob([text], { type: 'text/javascript' }))
      : new URL(`data:text/javascript,${encodeURIComponent(text)}`);
}

/** Starts a worker; `script` is the URL of its file, if it is not next to this one. */
export function startThread(events: ThreadEvents, script?: URL | string): Thread {
  return typeof Worker === 'function' ? startWebWorker(events, script) : startNodeWorker(events, script);
}

/** Whether this thread can start workers. */
export function canStartThreads(): boolean {
  return typeof Worker === 'function' || builtin('node:worker_threads') !== undefined;
}

function startWebWorker(events: ThreadEvents, script = carried): Thread {
  // Bundlers search for exactly this expression to find the worker and rewrite its URL.
  const worker = script
    ? new Worker(script, { type: 'module' })
    : new Worker(new URL('../worker.js', import.meta.url), { type: 'module' });
  worker.onmessage = (event: MessageEvent<FromWorker>) => events.message(event.data);
  worker.onmessageerror = () => events.failed('a message could not be read');
  // A script that cannot be loaded, or that a policy forbids, is reported without a message.
  worker.onerror = (event) => events.failed(event.message || whyNotLoaded(script));
  return {
    post: (message, transfer) => worker.postMessage(message, transfer),
    terminate: async () => worker.terminate(),
  };
}

function whyNotLoaded(script: URL | string | undefined): string {
  return script !== undefined && script === carried
    ? "its script was not loaded. The page's Content-Security-Policy must allow `worker-src blob:`"
    : 'its script could not be loaded; check workerUrl';
}

function startNodeWorker(events: ThreadEvents, script = carried ?? besideThis()): Thread {
  const { Worker } = builtin('node:worker_threads');
  // The parent's loaders and flags apply only to the parent's code.
  const worker = new Worker(script, { execArgv: [] });
  worker.on('message', (message: FromWorker) => events.message(message));
  worker.on('messageerror', () => events.failed('a message could not be read'));
  worker.on('error', (error: Error) => events.failed(error.message));
  worker.on('exit', (code) => events.failed(`it ended with code ${code}`));
  return {
    post: (message, transfer) => worker.postMessage(message, transfer as never),
    terminate: async () => void (await worker.terminate()),
  };
}

/**
 * For Node only, and therefore not the expression that bundlers for browsers search for: they would add the file a
 * second time.
 */
function besideThis(): URL {
  return new URL(import.meta.url.replace(/[^/]*\/[^/]*$/, 'worker.js'));
}
