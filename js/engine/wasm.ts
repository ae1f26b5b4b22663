/** Loads the engine and calls it. */

import load, * as exports from './bindings.js';
import { isBuffer, isModule, isResponse, isUrl } from './brands.js';
import { wrongType } from './check.js';
import { QuantpressError, toQuantpressError } from './error.js';
import { unchecked, type ReaderTable } from './options.js';

/** What wasm-bindgen exports, as `src/wasm/` declares it. */
export type Engine = typeof exports;

/** Everything that can become the engine's module: its URL, its bytes, or the compiled module. */
export type WasmInput = WebAssembly.Module | BufferSource | Response | URL | string;

/** Options of `init`. */
export interface InitOptions {
  /** The engine's WebAssembly file, if it is not the one of the package: a URL, its bytes, a `Response` or a module. */
  wasm?: WasmInput | Promise<WasmInput> | undefined;
}

/** @internal Shared by the entries. */
export const INIT_OPTIONS: ReaderTable<InitOptions> = { wasm: unchecked };

let loading: Promise<void> | undefined;
let module: WebAssembly.Module | undefined;

/**
 * Loads the engine once: calls while it is loading, and later ones, share the first one's promise. After a failure the
 * next call tries again.
 *
 * The entries (`browser.ts`, `node.ts` ...) call this with the location of their file.
 */
export function start(wasm: () => WasmInput | Promise<WasmInput>): Promise<void> {
  loading ??= instantiate(wasm).catch((error: unknown) => {
    loading = undefined;
    throw error;
  });
  return loading;
}

async function instantiate(wasm: () => WasmInput | Promise<WasmInput>): Promise<void> {
  const compiled = await compile(await wasm());
  await load({ module_or_path: compiled });
  module = compiled;
}

/** Whether `init()` has finished. */
export function isReady(): boolean {
  return module !== undefined;
}

/** The compiled module, for workers: it can be posted and is not compiled again. */
export function compiledModule(): WebAssembly.Module {
  if (!module) throw notReady();
  return module;
}

/**
 * Calls the engine, and converts its errors to {@link QuantpressError}. Every exported function is one such line:
 *
 * ```ts
 * return call((engine) => engine.dequantize(bytes, format));
 * ```
 */
export function call<T>(use: (engine: Engine) => T): T {
  if (!module) throw notReady();
  if (ended) renew();
  try {
    return use(exports);
  } catch (error) {
    if (endsInstance(error)) throw abandon(error);
    throw toQuantpressError(error instanceof TypeError ? misuse(error) : error);
  }
}

/** Whether an error leaves the engine unusable: a trap, a stack overflow, or exhausted memory. */
function endsInstance(error: unknown): error is Error {
  if (error instanceof WebAssembly.RuntimeError) return true;
  if (!(error instanceof Error)) return false;
  // Chromium and Node, Firefox, WebKit.
  return /call stack|recursion/i.test(error.message) || (error instanceof RangeError && isOfMemory(error));
}

/** Whether an error is about JavaScript's own memory, to which results of the engine are copied. */
function isOfMemory({ message }: Error): boolean {
  return /allocat|array length|out of memory|array size|buffer/i.test(message);
}

/** Whether the instance has stopped and could not be replaced yet. */
let ended = false;

/** The error that stopped an instance. A new instance replaces it. */
function abandon(error: Error): QuantpressError {
  let panic: string | undefined;
  try {
    panic = exports.lastPanic();
  } catch {
    // There is not even memory for that.
  }
  ended = true;
  try {
    renew();
  } catch {
    // There is no memory for a second instance until the first is collected: the next call tries again.
  }
  const options = { cause: error };
  // A trap without a panic is an allocation that failed.
  const unexplained =
    error instanceof WebAssembly.RuntimeError && panic === undefined && /unreachable/i.test(error.message);
  if (unexplained || isOfMemory(error) || /capacity overflow|alloc/i.test(panic ?? '')) {
    return new QuantpressError('NO_MEMORY', OUT_OF_MEMORY, {}, options);
  }
  const what = panic ?? error.message;
  return new QuantpressError('PANIC', `internal error (please report it): ${what}`, {}, options);
}

const OUT_OF_MEMORY =
  'the engine ran out of memory (it can have 4 GiB); use smaller pieces, or free objects that are no longer needed';

/**
 * Replaces the instance. wasm-bindgen's glue does that within the first call after `abandon`, when it has already
 * copied the arguments into the old instance, so this is a call without arguments.
 */
function renew(): void {
  try {
    exports.abandon();
    exports.lastPanic();
  } catch (error) {
    throw new QuantpressError(
      'NO_MEMORY',
      'there is no memory for a new engine; free some and try again',
      {},
      { cause: error },
    );
  }
  ended = false;
}

/** The errors of the bindings for an argument of a wrong type: a BigInt for a number, an object that was freed. */
function misuse(error: TypeError): QuantpressError {
  return new QuantpressError('ARGUMENT', `an argument is of another type: ${error.message}`, {}, { cause: error });
}

function notReady(): QuantpressError {
  return new QuantpressError('NOT_READY', 'the engine is not loaded yet: call `await init()` first');
}

async function compile(input: unknown): Promise<WebAssembly.Module> {
  if (isModule(input)) return input as WebAssembly.Module;
  if (typeof input === 'string' || isUrl(input)) return compile(await request(input));
  if (ArrayBuffer.isView(input) || isBuffer(input))
    return compileBytes(input as BufferSource, 'the argument of init()');
  if (!isResponse(input)) throw wrongType('wasm', 'a module, its bytes, a Response or its URL', input);
  const place = input.url || 'the response';
  if (!input.ok) {
    const message = `cannot load the engine: ${place} answered with status ${input.status}`;
    throw new QuantpressError(input.status === 404 ? 'NOT_FOUND' : 'IO', message, { status: input.status, url: place });
  }
  // Streaming compilation requires the right media type, but many servers do not know .wasm.
  if (input.headers.get('content-type')?.startsWith('application/wasm')) {
    return compiling(place, () => WebAssembly.compileStreaming(input));
  }
  return compileBytes(await input.arrayBuffer(), place);
}

async function request(url: string | URL): Promise<Response> {
  try {
    return await fetch(url);
  } catch (error) {
    const message = `cannot load the engine from ${url}: ${error instanceof Error ? error.message : error}`;
    throw new QuantpressError('IO', message, { url: String(url) }, { cause: error });
  }
}

async function compileBytes(bytes: BufferSource, place: string): Promise<WebAssembly.Module> {
  const view = ArrayBuffer.isView(bytes)
    ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    : new Uint8Array(bytes);
  const magic = String.fromCharCode(...view.subarray(0, 4));
  if (magic !== '\0asm') {
    // The usual cause is a development server that answers every unknown URL with its page.
    const what = magic.startsWith('<') ? 'an HTML page' : 'something else';
    const message =
      `cannot load the engine: ${place} is ${what}, not WebAssembly. ` +
      'Pass the URL of quantpress.wasm as init({ wasm }), or exclude quantpress from dependency optimisation';
    throw new QuantpressError('MAGIC', message, { url: place });
  }
  return compiling(place, () => WebAssembly.compile(bytes));
}

/** The messages of browsers and Node about a Content-Security-Policy without `wasm-unsafe-eval`. */
const FORBIDDEN = /content.security.policy|unsafe-eval|disallowed by embedder|code generation|blocked by CSP/i;

/** Compiles the module, and explains a failure. */
async function compiling(place: string, compile: () => Promise<WebAssembly.Module>): Promise<WebAssembly.Module> {
  try {
    return await compile();
  } catch (cause) {
    if (!(cause instanceof Error)) throw cause;
    if (cause.name !== 'CompileError' && cause.name !== 'EvalError' && !FORBIDDEN.test(cause.message)) {
      // The download was interrupted.
      const message = `cannot load the engine from ${place}: ${cause.message}`;
      throw new QuantpressError('IO', message, { url: place }, { cause });
    }
    if (FORBIDDEN.test(cause.message) || cause.name === 'EvalError') {
      const message =
        "the page's Content-Security-Policy forbids WebAssembly. Add 'wasm-unsafe-eval' to its script-src directive";
      throw new QuantpressError('DENIED', message, { url: place }, { cause });
    }
    const message =
      `cannot compile the engine: ${place} is damaged, or this runtime lacks SIMD (${cause.message}). ` +
      'Load quantpress.wasm of the same version, and use a browser of 2023 or later';
    throw new QuantpressError('UNSUPPORTED', message, { url: place }, { cause });
  }
}
