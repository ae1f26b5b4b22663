/**
 * Every exported function under arguments that no type allows: it returns, or it throws a `QuantpressError` about the
 * argument. Errors of a caller's own getter or proxy are passed on unchanged.
 */

import fc from 'fast-check';
import * as quantpress from 'quantpress';
import { beforeAll, expect, test, vi } from 'vitest';

const { QuantpressError } = quantpress;

/**
 * In a page a string is a URL, and `//` with some letters names another server. None is requested: that would test the
 * machine's network, and `http://;/` crashes the network process of WebKitGTK 2.50, and with it the run.
 */
beforeAll(async () => {
  await quantpress.init();
  const { fetch, location } = globalThis;
  if (!location) return undefined;
  const here: typeof fetch = async (input, options) =>
    new URL(String(input)).host === location.host ? fetch(input, options) : new Response(null, { status: 403 });
  vi.stubGlobal('fetch', here);
  return () => void vi.unstubAllGlobals();
});

/** The error of a caller's own code. */
class CallersOwn extends Error {}

const throwing = (): never => {
  throw new CallersOwn('from a getter of the caller');
};

function detached<Array extends Float32Array | Uint8Array>(array: Array): Array {
  structuredClone(array, { transfer: [array.buffer as ArrayBuffer] });
  return array;
}

/** Created for the call itself, because fast-check inspects and prints generated values. */
const AT_CALL = new Map<string, () => unknown>([
  ['a proxy that throws', () => new Proxy({}, { get: throwing, ownKeys: throwing, has: throwing })],
  ['a getter that throws', () => Object.defineProperty({}, 'rowLength', { get: throwing, enumerable: true })],
  ['detached floats', () => detached(new Float32Array(32))],
  ['detached bytes', () => detached(new Uint8Array(144))],
]);
const real = (args: unknown[]): unknown[] => args.map((arg) => AT_CALL.get(arg as string)?.() ?? arg);

/** Values that are passed to functions by mistake, and some others. */
const anything = (): fc.Arbitrary<unknown> =>
  fc.oneof(
    fc.constantFrom<unknown>(
      undefined,
      null,
      Number.NaN,
      Infinity,
      -1,
      0.5,
      2 ** 32,
      2 ** 53,
      '',
      'Q4_K',
      'Q9_Z',
      true,
    ),
    fc.constantFrom('weights', 'int8', 'symmetric', 'minmax', '__proto__', 'constructor'),
    fc.integer({ min: -2, max: 64 }),
    fc.constant(0n),
    fc.constant(Symbol('symbol')),
    fc.constant(() => 0),
    fc.constant(new Date(Number.NaN)),
    fc.float32Array({ maxLength: 80 }),
    fc.uint8Array({ maxLength: 300 }),
    fc.int8Array({ maxLength: 80 }),
    fc.constantFrom(new Float32Array(32), new Float32Array(256).fill(0.5), new Uint8Array(144), new Float64Array(32)),
    fc.constantFrom(new ArrayBuffer(18), new DataView(new ArrayBuffer(8)), new Uint16Array(8)),
    fc.array(fc.oneof(fc.double(), fc.string(), fc.constant(undefined)), { maxLength: 5 }),
    options(),
    fc.constant(Object.create(null)),
    fc.constantFrom(...AT_CALL.keys()),
  );

/** Names of existing options with wrong values. */
const options = (): fc.Arbitrary<unknown> =>
  fc.dictionary(
    fc.constantFrom(
      'rowLength',
      'importance',
      'bits',
      'scheme',
      'method',
      'seed',
      'blockSize',
      'format',
      'shape',
      'axis',
    ),
    fc.constantFrom<unknown>(Number.NaN, -1, 0, 1e300, '', 'nf4', null, undefined, Symbol('option'), [], {}, 0n),
    { maxKeys: 4 },
  );

/** Excluded: these create files, threads or minutes of work, and have their own tests. */
const ELSEWHERE = new Set(['init', 'runFullBenchmarkSuite']);

/** These train a classifier for seconds. */
const TRAINING = new Set(['runAccuracyBenchmark', 'AccuracyBenchmark.train']);

/** The arguments of a call. Options of training get a data set without digits, which is rejected after they were read. */
function argumentsOf(name: string, args: unknown[]): unknown[] {
  const [first, ...others] = real(args);
  if (!TRAINING.has(name)) return args.length > 0 ? [first, ...others] : [];
  if (first !== undefined && (typeof first !== 'object' || first === null)) return [first, ...others];
  const none = { images: new Float32Array(), labels: new Uint8Array() };
  return [{ ...first, digits: none }, ...others];
}

type Function = (...args: unknown[]) => unknown;

const isClass = (value: unknown): boolean =>
  typeof value === 'function' && /^class[\s{]/.test(globalThis.Function.prototype.toString.call(value));

const functions = Object.entries(quantpress).filter(
  ([name, value]) => typeof value === 'function' && !isClass(value) && !ELSEWHERE.has(name),
) as [string, Function][];

function judge(name: string, error: unknown): void {
  if (error instanceof CallersOwn) return;
  const found = error instanceof QuantpressError ? error.kind : String(error);
  if (!(error instanceof QuantpressError) || error.kind === 'Internal') {
    throw new Error(`${name} throws ${found}`, { cause: error });
  }
}

test('exported functions are found', () => expect(functions.length).toBeGreaterThan(30));

test.each(functions)('%s', async (name, call) => {
  await fc.assert(
    fc.asyncProperty(fc.array(anything(), { maxLength: 4 }), async (args) => {
      try {
        const result = await call(...argumentsOf(name, args));
        if (result && typeof result === 'object' && 'close' in result) await (result.close as Function)();
      } catch (error) {
        judge(name, error);
      }
    }),
    { numRuns: 1500 },
  );
});

const classes = Object.entries(quantpress).filter(
  ([name, value]) => isClass(value) && name !== 'QuantpressError',
) as unknown as [string, new (...args: unknown[]) => Record<string, unknown>][];

test.each(classes)('%s survives wrong construction and use', async (name, Class) => {
  const methods = Object.getOwnPropertyNames(Class.prototype).filter((key) => key !== 'constructor');
  const statics = Object.getOwnPropertyNames(Class).filter(
    (key) => typeof (Class as unknown as Record<string, unknown>)[key] === 'function',
  );
  const steps = fc.array(fc.tuple(fc.nat(), fc.array(anything(), { maxLength: 3 })), { maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(fc.array(anything(), { maxLength: 3 }), steps, async (args, steps) => {
      try {
        const object = new Class(...real(args));
        for (const [choice, values] of steps) {
          const key = methods[choice % methods.length] ?? '';
          const { get, value } = Object.getOwnPropertyDescriptor(Class.prototype, key) ?? {};
          if (get) get.call(object);
          else if (typeof value === 'function') await value.apply(object, real(values));
        }
      } catch (error) {
        judge(name, error);
      }
      for (const key of statics) {
        try {
          const given = argumentsOf(`${name}.${key}`, args);
          await (Class as unknown as Record<string, Function>)[key]?.call(Class, ...given);
        } catch (error) {
          judge(`${name}.${key}`, error);
        }
      }
    }),
    { numRuns: 1500 },
  );
});
