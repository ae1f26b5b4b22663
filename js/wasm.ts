/** The engine: how it is loaded, and the one way it is called. */

import load, * as exports from './engine.js';
import { QuantpressError, toQuantpressError } from './error.js';

/** What wasm-bindgen exports, as `src/wasm/` declares it. */
export type Engine = typeof exports;

/** Everything that can become the engine's module: where it is, what it holds, or the compiled module itself. */
export type WasmInput = WebAssembly.Module | BufferSource | Response | URL | string;

/** Options of `init`. */
export interface InitOptions {
  /** The engine's WebAssembly file, if it is not where the package has it: a URL, its bytes, a `Response` or a module. */
  wasm?: WasmInput | Promise<WasmInput>;
}

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
  try {
    return use(exports);
  } catch (error) {
    throw toQuantpressError(error instanceof TypeError ? misuse(error) : error);
  }
}

/** What the boundary says of an argument it cannot take: a BigInt for a number, an option whose memory is gone. */
function misuse(error: TypeError): QuantpressError {
  return new QuantpressError('ARGUMENT', `an argument is of another type: ${error.message}`, {}, { cause: error });
}

function notReady(): QuantpressError {
  return new QuantpressError('NOT_READY', 'the engine is not loaded yet: `await init()` comes first');
}

async function compile(input: WasmInput): Promise<WebAssembly.Module> {
  if (input instanceof WebAssembly.Module) return input;
  if (typeof input === 'string' || input instanceof URL) return compile(await request(input));
  if (!(input instanceof Response)) return compileBytes(input, 'what init() was given');
  const place = input.url || 'the response';
  if (!input.ok) {
    const message = `cannot load the engine: ${place} answers with status ${input.status}`;
    throw new QuantpressError(input.status === 404 ? 'NOT_FOUND' : 'IO', message, { status: input.status, url: place });
  }
  // Streaming insists on the right type; servers that do not know .wasm are common.
  if (input.headers.get('content-type')?.startsWith('application/wasm')) return WebAssembly.compileStreaming(input);
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
      'Pass the address of quantpress.wasm as init({ wasm }), or exclude quantpress from dependency optimisation';
    throw new QuantpressError('MAGIC', message, { url: place });
  }
  return WebAssembly.compile(bytes);
}
