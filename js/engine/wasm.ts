/** Loads the engine's WebAssembly modules and calls them. */

import * as exports from './bindings.js';
import { isBuffer, isModule, isResponse, isUrl } from './cross-realm.js';
import { wrongType } from './check.js';
import { QuantpressError, toQuantpressError } from './error.js';
import { readNamedOptions, unchecked, type Reader, type ReaderTable } from './options.js';

/** What wasm-bindgen exports of the main module, as `src/wasm/` declares it. */
export type Engine = typeof exports;

/** Everything that can become a WebAssembly module: its URL, its bytes, or the compiled module. */
export type WasmInput = WebAssembly.Module | BufferSource | Response | URL | string;

/** Returns a WebAssembly module when it is needed. */
export type WasmPlace = () => WasmInput | Promise<WasmInput>;

/** A module that is loaded when a function first needs it. A function is called at that time. */
export type ModuleInput = WasmInput | Promise<WasmInput> | WasmPlace;

/** The modules that are loaded when a function first needs them. */
export interface ModuleInputs {
  /** `quantpress-model.wasm`: whole models. */
  model?: ModuleInput | undefined;
  /** `quantpress-convert.wasm`: opens safetensors models and Hugging Face folders. */
  convert?: ModuleInput | undefined;
  /** `quantpress-inference.wasm`: runs models. */
  inference?: ModuleInput | undefined;
  /** `quantpress-bench.wasm`: the accuracy benchmark. */
  bench?: ModuleInput | undefined;
}

/** The name of a module that is loaded when a function first needs it. */
export type ModuleName = keyof ModuleInputs;

/** Options of `init`. */
export interface InitOptions {
  /** The engine's WebAssembly file, if it is not the one of the package: a URL, its bytes, a `Response` or a module. */
  wasm?: WasmInput | Promise<WasmInput> | undefined;
  /** The files of the modules that are loaded on first use, if they are not those of the package. */
  modules?: ModuleInputs | undefined;
}

/** A promise may be rejected long before its module is needed; the error is reported then. */
const moduleInput: Reader<ModuleInput> = (_, value) => {
  Promise.resolve(value).catch(() => {});
  return value as ModuleInput;
};

const MODULE_OPTIONS: ReaderTable<ModuleInputs> = {
  model: moduleInput,
  convert: moduleInput,
  inference: moduleInput,
  bench: moduleInput,
};

/** @internal Shared by the entries. */
export const INIT_OPTIONS: ReaderTable<InitOptions> = {
  wasm: unchecked,
  modules: (_, value) => readNamedOptions('init', 'modules', MODULE_OPTIONS, value as ModuleInputs),
};

/** The location of each module that is loaded on first use. */
export type ModulePlaces = Readonly<Record<ModuleName, WasmPlace | undefined>>;

/** @internal The argument of `init` as a location. */
export function placeOf(given: ModuleInput): WasmPlace;
export function placeOf(given: ModuleInput | undefined): WasmPlace | undefined;
export function placeOf(given: ModuleInput | undefined): WasmPlace | undefined {
  if (given === undefined) return undefined;
  return typeof given === 'function' ? (given as WasmPlace) : () => given;
}

/** The exports that all modules have. */
interface Bindings {
  default(input: { module_or_path: WebAssembly.Module }): Promise<unknown>;
  lastPanic(): string | undefined;
  abandon(): void;
}

/** A WebAssembly module of the package, which is loaded once and replaced after an error that stops it. */
export class EngineModule<B extends Bindings> {
  readonly #bindings: B;
  /** The name of its file, for messages. */
  readonly #file: string;
  #loading: Promise<void> | undefined;
  #module: WebAssembly.Module | undefined;
  /** Whether the instance has ended and could not be replaced yet. */
  #ended = false;

  constructor(bindings: B, file: string) {
    this.#bindings = bindings;
    this.#file = file;
  }

  /** Whether it is loaded or being loaded. */
  get isStarted(): boolean {
    return this.#loading !== undefined;
  }

  /** The compiled module; `undefined` if it is not loaded. */
  get compiled(): WebAssembly.Module | undefined {
    return this.#module;
  }

  /**
   * Loads the module once: calls while it is loading, and later ones, share the first one's promise. After a failure the
   * next call tries again.
   */
  load(place: WasmPlace): Promise<void> {
    this.#loading ??= this.#instantiate(place).catch((error: unknown) => {
      this.#loading = undefined;
      throw error;
    });
    return this.#loading;
  }

  async #instantiate(place: WasmPlace): Promise<void> {
    const compiled = await compile(await place(), this.#file);
    await this.#bindings.default({ module_or_path: compiled });
    this.#module = compiled;
  }

  /** Calls the module, and converts its errors to {@link QuantpressError}. */
  call<T>(use: (bindings: B) => T): T {
    if (!this.#module) throw notReady();
    if (this.#ended) this.#renew();
    try {
      return use(this.#bindings);
    } catch (error) {
      // An error of another module, which has handled it.
      if (error instanceof QuantpressError) throw error;
      if (endsInstance(error)) throw this.#abandon(error);
      throw toQuantpressError(error instanceof TypeError ? misuse(error) : error);
    }
  }

  /** The error that stopped the instance. A new instance replaces it. */
  #abandon(error: Error): QuantpressError {
    let panic: string | undefined;
    try {
      panic = this.#bindings.lastPanic();
    } catch {
      // There is not even memory for that.
    }
    this.#ended = true;
    try {
      this.#renew();
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

  /**
   * Replaces the instance. wasm-bindgen's glue does that within the first call after `abandon`, when it has already
   * copied the arguments into the old instance, so this is a call without arguments.
   */
  #renew(): void {
    try {
      this.#bindings.abandon();
      this.#bindings.lastPanic();
    } catch (error) {
      throw new QuantpressError(
        'NO_MEMORY',
        'there is no memory for a new engine; free some and try again',
        {},
        { cause: error },
      );
    }
    this.#ended = false;
  }
}

const main = /* @__PURE__ */ new EngineModule(exports, 'quantpress.wasm');

let places: ModulePlaces | undefined;

/**
 * Loads the main module once, and keeps the locations of the others for their first use. Later calls add only missing
 * locations.
 *
 * The entries (`browser.ts`, `node.ts` ...) call this with the locations of their files.
 */
export function start(wasm: WasmPlace, modules?: ModulePlaces): Promise<void> {
  const known = main.isStarted ? places : undefined;
  places = {
    model: known?.model ?? modules?.model,
    convert: known?.convert ?? modules?.convert,
    inference: known?.inference ?? modules?.inference,
    bench: known?.bench ?? modules?.bench,
  };
  return main.load(wasm);
}

/**
 * Loads a module when it is first needed.
 *
 * @throws {@link QuantpressError} `NOT_READY` before `init()`, `NOT_FOUND` if `init` has no location for the module; the error
 * of loading it.
 */
export async function loadModule<B extends Bindings>(module: EngineModule<B>, name: ModuleName): Promise<void> {
  if (module.compiled) return;
  if (!main.compiled) throw notReady();
  const file = `quantpress-${name}.wasm`;
  const place = places?.[name];
  if (!place) {
    const message =
      `this function needs the module '${name}', whose location is unknown: ` +
      `pass ${file} as init({ modules: { ${name} } })`;
    throw new QuantpressError('NOT_FOUND', message, { module: name });
  }
  try {
    await module.load(place);
  } catch (error) {
    const known = error instanceof QuantpressError ? error : undefined;
    const message = `the module '${name}' (${file}) was not loaded: ${error instanceof Error ? error.message : error}`;
    throw new QuantpressError(known?.code ?? 'IO', message, { ...known?.details, module: name }, { cause: error });
  }
}

/** Whether `init()` has finished. */
export function isReady(): boolean {
  return main.compiled !== undefined;
}

/** The compiled module, for workers: it can be posted and is not compiled again. */
export function compiledModule(): WebAssembly.Module {
  if (!main.compiled) throw notReady();
  return main.compiled;
}

/**
 * Calls the engine, and converts its errors to {@link QuantpressError}. Every exported function is one such line:
 *
 * ```ts
 * return call((engine) => engine.dequantize(bytes, format));
 * ```
 */
export function call<T>(use: (engine: Engine) => T): T {
  return main.call(use);
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

const OUT_OF_MEMORY =
  'the engine ran out of memory (it can have 4 GiB); use smaller pieces, or free objects that are no longer needed';

/** What the boundary says of an argument it cannot take: a BigInt for a number, an option whose memory is gone. */
function misuse(error: TypeError): QuantpressError {
  return new QuantpressError('ARGUMENT', `an argument is of another type: ${error.message}`, {}, { cause: error });
}

function notReady(): QuantpressError {
  return new QuantpressError('NOT_READY', 'the engine is not loaded yet: call `await init()` first');
}

async function compile(input: unknown, file: string): Promise<WebAssembly.Module> {
  if (isModule(input)) return input as WebAssembly.Module;
  if (typeof input === 'string' || isUrl(input)) return compile(await request(input), file);
  if (ArrayBuffer.isView(input) || isBuffer(input))
    return compileBytes(input as BufferSource, 'the argument of init()', file);
  if (!isResponse(input)) throw wrongType('wasm', 'a module, its bytes, a Response or its URL', input);
  const place = input.url || 'the response';
  if (!input.ok) {
    const message = `cannot load the engine: ${place} answered with status ${input.status}`;
    throw new QuantpressError(input.status === 404 ? 'NOT_FOUND' : 'IO', message, { status: input.status, url: place });
  }
  // Streaming compilation requires the right media type, but many servers do not know .wasm.
  if (input.headers.get('content-type')?.startsWith('application/wasm')) {
    return compiling(place, file, () => WebAssembly.compileStreaming(input));
  }
  return compileBytes(await input.arrayBuffer(), place, file);
}

async function request(url: string | URL): Promise<Response> {
  try {
    return await fetch(url);
  } catch (error) {
    const message = `cannot load the engine from ${url}: ${error instanceof Error ? error.message : error}`;
    throw new QuantpressError('IO', message, { url: String(url) }, { cause: error });
  }
}

async function compileBytes(bytes: BufferSource, place: string, file: string): Promise<WebAssembly.Module> {
  const view = ArrayBuffer.isView(bytes)
    ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    : new Uint8Array(bytes);
  const magic = String.fromCharCode(...view.subarray(0, 4));
  if (magic !== '\0asm') {
    // The usual cause is a development server that answers every unknown URL with its page.
    const what = magic.startsWith('<') ? 'an HTML page' : 'something else';
    const message =
      `cannot load the engine: ${place} is ${what}, not WebAssembly. ` +
      `Pass the URL of ${file} to init(), or exclude quantpress from dependency optimisation`;
    throw new QuantpressError('MAGIC', message, { url: place });
  }
  return compiling(place, file, () => WebAssembly.compile(bytes));
}

/** The messages of browsers and Node about a Content-Security-Policy without `wasm-unsafe-eval`. */
const FORBIDDEN = /content.security.policy|unsafe-eval|disallowed by embedder|code generation|blocked by CSP/i;

/** Compiles the module, and explains a failure. */
async function compiling(
  place: string,
  file: string,
  compile: () => Promise<WebAssembly.Module>,
): Promise<WebAssembly.Module> {
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
      `Load ${file} of the same version, and use a browser of 2023 or later`;
    throw new QuantpressError('UNSUPPORTED', message, { url: place }, { cause });
  }
}
