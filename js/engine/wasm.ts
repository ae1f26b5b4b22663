/** The engine: how it is loaded, and the one way it is called. */

import load, * as exports from './bindings.js';
import { isBuffer, isModule, isResponse, isUrl } from './brands.js';
import { wrongType } from './check.js';
import { QuantpressError, toQuantpressError } from './error.js';
import { unchecked, type ReaderTable } from './options.js';

/** What wasm-bindgen exports, as `src/wasm/` declares it. */
export type Engine = typeof exports;

/** Everything that can become the engine's module: where it is, what it holds, or the compiled module itself. */
export type WasmInput = WebAssembly.Module | BufferSource | Response | URL | string;

/** Options of `init`. */
export interface InitOptions {
  /** The engine's WebAssembly file, if it is not where the package has it: a URL, its bytes, a `Response` or a module. */
  wasm?: WasmInput | Promise<WasmInput> | undefined;
}

/** @internal Shared by the entries. */
export const INIT_OPTIONS: ReaderTable<InitOptions> = { wasm: unchecked };

let loading: Promise<void> | undefined;
let module: WebAssembly.Module | undefined;

/**
 * Loads the engine once: calls while it is loading, and later ones, share the first one's promise. A failure is
 * forgotten, so that another attempt can be made.
 *
 * The entries (`browser.ts`, `node.ts` ...) call this with the place where each of them finds the file.
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

/** The compiled module, for workers: a module can be posted, and is not compiled again. */
export function compiledModule(): WebAssembly.Module {
  if (!module) throw notReady();
  return module;
}

/**
 * Calls the engine, and gives its errors the type this package promises. Every facade function is one line of this:
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

/** Whether the engine cannot go on after an error: a trap, too deep a recursion, or memory that could not be had. */
function endsInstance(error: unknown): error is Error {
  if (error instanceof WebAssembly.RuntimeError) return true;
  if (!(error instanceof Error)) return false;
  // Chromium and Node, Firefox, WebKit.
  return /call stack|recursion/i.test(error.message) || (error instanceof RangeError && isOfMemory(error));
}

/** Whether an error is about memory of JavaScript's, which what comes from the engine is copied to. */
function isOfMemory({ message }: Error): boolean {
  return /allocat|array length|out of memory|array size|buffer/i.test(message);
}

/** Whether the instance has ended and could not be replaced yet. */
let ended = false;

/** What an instance ended with. A new one takes its place. */
function abandon(error: Error): QuantpressError {
  let panic: string | undefined;
  try {
    panic = exports.lastPanic();
  } catch {
    // It has not even memory for that.
  }
  ended = true;
  try {
    renew();
  } catch {
    // There is no room for a second one as long as the first has not been collected: the next call tries again.
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
 * Replaces the instance. wasm-bindgen's glue does that within the first call after `abandon`, when it has copied the call's
 * arguments into the old one: so this is a call without any.
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

/** What the boundary says of an argument it cannot take: a BigInt for a number, an option whose memory is gone. */
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
  // Streaming insists on the right type; servers that do not know .wasm are common.
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
    // A development server that answers every unknown address with its page is the usual cause.
    const what = magic.startsWith('<') ? 'an HTML page' : 'something else';
    const message =
      `cannot load the engine: ${place} is ${what}, not WebAssembly. ` +
      'Pass the URL of quantpress.wasm as init({ wasm }), or exclude quantpress from dependency optimisation';
    throw new QuantpressError('MAGIC', message, { url: place });
  }
  return compiling(place, () => WebAssembly.compile(bytes));
}

/** What browsers and Node say of a Content-Security-Policy without `wasm-unsafe-eval`. */
const FORBIDDEN = /content.security.policy|unsafe-eval|disallowed by embedder|code generation|blocked by CSP/i;

/** Compiles, and explains what WebAssembly does not compile. */
async function compiling(place: string, compile: () => Promise<WebAssembly.Module>): Promise<WebAssembly.Module> {
  try {
    return await compile();
  } catch (cause) {
    if (!(cause instanceof Error)) throw cause;
    if (cause.name !== 'CompileError' && cause.name !== 'EvalError' && !FORBIDDEN.test(cause.message)) {
      // The download broke off.
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
