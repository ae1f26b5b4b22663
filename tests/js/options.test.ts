/** Options of every export: undefined is absent, an unknown key is an error, and so is a value of another type. */

import { readFileSync, readdirSync } from 'node:fs';
import * as quantpress from 'quantpress';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { thrownBy } from './support/thrown-by.js';
import { WHALE, WHALE_IMATRIX } from './support/whale.js';

const { QuantpressError } = quantpress;

let model: quantpress.Model;
let analysis: quantpress.ModelAnalysis;

beforeAll(async () => {
  await quantpress.init();
  model = await quantpress.openModel(WHALE);
  analysis = await quantpress.analyzeModel(model, { formats: ['Q4_K', 'Q6_K', 'Q8_0'], sample: 256, workers: 0 });
});
afterAll(() => model.close());

const values = Float32Array.from({ length: 64 }, (_, index) => Math.sin(index));

/** A text of two chunks. */
const TEXT = 'The whale is a mammal that lives in the sea, and not a fish.';

/** Calls with an options object; `needs` has what each needs to succeed. */
type Options = Record<string, unknown>;
interface Call {
  /** The key of the module's export or of `Class.method`. */
  name: string;
  needs?: Options;
  call(options: never): unknown;
}

const closed = async (opened: Promise<{ close?(): Promise<void> }>) => (await opened).close?.();
const freed = (made: { free(): void }) => made.free();

const calls: Call[] = [
  { name: 'init', call: (o) => quantpress.init(o) },
  { name: 'quantize', call: (o) => quantpress.quantize(values, 'Q8_0', o) },
  { name: 'quantizeInto', call: (o) => quantpress.quantizeInto(values, 'Q8_0', new Uint8Array(68), o) },
  { name: 'quantize4bit', call: (o) => quantpress.quantize4bit(values, o) },
  {
    name: 'quantize4bitInto',
    call: (o) => quantpress.quantize4bitInto(values, new Uint8Array(32), new Float32Array(1), o),
  },
  { name: 'quantize4bitDouble', call: (o) => quantpress.quantize4bitDouble(values, o) },
  {
    name: 'quantize4bitDoubleInto',
    call: (o) =>
      quantpress.quantize4bitDoubleInto(values, new Uint8Array(32), new Uint8Array(1), new Float32Array(1), o),
  },
  { name: 'calibrateTensor', needs: { bits: 8 }, call: (o) => quantpress.calibrateTensor(values, [8, 8], o) },
  { name: 'quantizeTensor', needs: { bits: 8 }, call: (o) => quantpress.quantizeTensor(values, [8, 8], o) },
  { name: 'ErrorAccumulator', call: (o) => freed(new quantpress.ErrorAccumulator(o)) },
  { name: 'compareError', call: (o) => quantpress.compareError(values, values, o) },
  {
    name: 'analyzeError',
    call: (o) => quantpress.analyzeError(values, [64], quantpress.calibratePerTensor(values, 8), o),
  },
  {
    name: 'analyzeErrorScheme',
    call: (o) => quantpress.analyzeErrorScheme(values, [64], { kind: 'fourBit' }, o),
  },
  { name: 'roundTrip', call: (o) => quantpress.roundTrip(values, [64], { kind: 'block', format: 'Q8_0' }, o) },
  {
    name: 'roundTripInto',
    call: (o) => quantpress.roundTripInto(values, [64], { kind: 'block', format: 'Q8_0' }, new Float32Array(64), o),
  },
  { name: 'analyzeErrorFormat', call: (o) => quantpress.analyzeErrorFormat(values, 'Q8_0', o) },
  { name: 'analyzeError4bit', call: (o) => quantpress.analyzeError4bit(values, o) },
  { name: 'Calibrator', call: (o) => freed(new quantpress.Calibrator({ kind: 'minMax' }, 8, 'symmetric', o)) },
  { name: 'Calibrator.minMax', call: (o) => freed(quantpress.Calibrator.minMax(8, 'symmetric', o)) },
  { name: 'Calibrator.percentile', call: (o) => freed(quantpress.Calibrator.percentile(8, 'symmetric', 1, 99, o)) },
  { name: 'Calibrator.movingAverage', call: (o) => freed(quantpress.Calibrator.movingAverage(8, 'symmetric', 0.1, o)) },
  { name: 'Calibrator.entropy', call: (o) => freed(quantpress.Calibrator.entropy(8, 'symmetric', 'tensorrt', o)) },
  { name: 'Calibrator.mse', call: (o) => freed(quantpress.Calibrator.mse(8, 'symmetric', o)) },
  {
    name: 'FakeQuantize',
    call: (o) => freed(new quantpress.FakeQuantize(quantpress.FakeQuantConfig.signed(4, 'symmetric'), o)),
  },
  {
    name: 'AccuracyBenchmark.train',
    needs: { hidden: 1, epochs: 1 },
    call: async (o) => freed(await quantpress.AccuracyBenchmark.train(o)),
  },
  {
    name: 'runAccuracyBenchmark',
    needs: { digits: { images: new Float32Array(), labels: new Uint8Array() } },
    call: async (o) => {
      try {
        await quantpress.runAccuracyBenchmark(o);
      } catch (error) {
        // Training takes seconds. Options are read before digits are counted, and here are none.
        if (!(error instanceof QuantpressError) || error.code !== 'NO_DATA') throw error;
      }
    },
  },
  { name: 'openSource', call: (o) => closed(quantpress.openSource(new Uint8Array(4), o)) },
  { name: 'openImportance', call: async (o) => freed(await quantpress.openImportance(WHALE_IMATRIX, o)) },
  { name: 'openModel', call: (o) => closed(quantpress.openModel(WHALE, o)) },
  { name: 'Model.readTensor', call: (o) => model.readTensor(model.tensors[0]?.name ?? '', o) },
  {
    name: 'Model.readTensorInto',
    call: (o) => {
      const { name = '', shape = [] } = model.tensors[0] ?? {};
      return model.readTensorInto(name, new Float32Array(shape.reduce((product, n) => product * n, 1)), o);
    },
  },
  { name: 'analyzeModel', needs: { workers: 0, sample: 32 }, call: (o) => quantpress.analyzeModel(model, o) },
  {
    name: 'tensorHistogram',
    needs: { workers: 0, sample: 32 },
    call: (o) => quantpress.tensorHistogram(model, model.tensors[0]?.name ?? '', o),
  },
  { name: 'bestMix', call: (o) => quantpress.bestMix(model, analysis, { targetBpw: 16 }, o) },
  {
    name: 'importanceOf',
    needs: { chunkSize: 4, chunks: 1 },
    call: (o) => quantpress.importanceOf(model, TEXT, o),
  },
  {
    name: 'evaluateModel',
    needs: { chunkSize: 4, chunks: 1 },
    call: (o) => quantpress.evaluateModel(model, TEXT, o),
  },
  {
    name: 'compareModels',
    needs: { chunkSize: 4, chunks: 1 },
    call: (o) => quantpress.compareModels(model, model, TEXT, o),
  },
  { name: 'diffModels', needs: { workers: 0 }, call: (o) => quantpress.diffModels(model, model, o) },
  { name: 'verifyModel', call: (o) => quantpress.verifyModel(model, o) },
  { name: 'planModel', call: async (o) => freed(await quantpress.planModel(model, 'Q8_0', o)) },
  {
    name: 'quantizeModel',
    needs: { workers: 0 },
    call: (o) => quantpress.quantizeModel(model, new quantpress.MemoryTarget(), 'Q8_0', o),
  },
];

/** Objects under other names that are as strict as options. */
const others: Call[] = [
  { name: 'a recipe', needs: { preset: 'Q8_0' }, call: async (o) => freed(await quantpress.planModel(model, o)) },
  {
    name: 'the recipe of a config.json',
    needs: { preset: 'NF4' },
    call: (o) => {
      try {
        quantpress.bnbConfig(model, o);
      } catch (error) {
        // The model has none, which is detected after the recipe is read.
        if (!(error instanceof QuantpressError) || error.code !== 'NOT_FOUND') throw error;
      }
    },
  },
  {
    name: 'a rule of a recipe',
    needs: { pattern: 'ffn', type: 'Q8_0' },
    call: async (o) => freed(await quantpress.planModel(model, { preset: 'Q8_0', tensorTypes: [o] })),
  },
  {
    name: 'the recipe of a mix',
    call: (o) => quantpress.bestMix(model, analysis, { targetBpw: 16 }, { recipe: o }),
  },
  { name: 'the target of a mix', needs: { targetBpw: 16 }, call: (o) => quantpress.bestMix(model, analysis, o) },
  {
    name: 'a granularity',
    needs: { kind: 'perGroup', size: 8 },
    call: (o) => quantpress.quantizeTensor(values, [8, 8], { bits: 8, granularity: o }),
  },
  {
    name: 'a scheme',
    needs: { kind: 'fourBit', dataType: 'nf4', blockSize: 64, doubleQuant: false },
    call: (o) => quantpress.roundTrip(values, [64], o),
  },
  {
    name: 'a method',
    needs: { kind: 'mse', bins: 64 },
    call: (o) => freed(new quantpress.Calibrator(o, 8, 'symmetric')),
  },
  {
    name: 'an observer',
    needs: { kind: 'movingAverage', momentum: 0.5 },
    call: (o) => freed(new quantpress.FakeQuantize(quantpress.FakeQuantConfig.q8Symmetric(), { observer: o })),
  },
];

describe('options', () => {
  test('every export with options is tested', () => {
    const declared = readdirSync('dist', { encoding: 'utf8', recursive: true })
      .filter((file) => file.endsWith('.d.ts') && !file.endsWith('bindings.d.ts'))
      .flatMap((file) => exported(readFileSync(`dist/${file}`, 'utf8')));
    const public_ = declared.filter((name) => (name.split('.')[0] ?? '') in quantpress);
    expect(public_.length).toBeGreaterThan(25);
    const known = new Set(calls.map(({ name }) => name));
    expect([...new Set(public_)].filter((name) => !known.has(name)).sort()).toEqual([]);
  });

  test.each([...calls, ...others])(
    '$name rejects an unknown key and suggests a similar one',
    async ({ call, needs }) => {
      const error = await thrownBy(() => call({ ...needs, rowlenght: 1 } as never));
      expect(error).toBeInstanceOf(QuantpressError);
      expect(error).toMatchObject({ code: 'ARGUMENT', details: { option: 'rowlenght' } });
      expect((error as Error).message).toMatch(
        /^(the recipe of )?[\w ']+ has no option 'rowlenght'\. .*(options are|no options)/,
      );
    },
  );

  test.each([...calls, ...others])('$name treats undefined as absent, for each key', async ({ call, needs = {} }) => {
    const error = (await thrownBy(() => call({ ...needs, rowlenght: 1 } as never))) as Error;
    const [, list = ''] = /Its options are (.*)\.$/.exec(error.message) ?? [];
    const keys = list.split(', ');
    expect(keys.length).toBeGreaterThan(0);
    for (const key of keys.filter((key) => !(key in needs))) {
      expect(await thrownBy(() => call({ ...needs, [key]: undefined } as never)), key).toBe(undefined);
    }
  });

  test.each([...calls, ...others])(
    '$name rejects each key with a value of another type',
    async ({ call, needs = {} }) => {
      const error = (await thrownBy(() => call({ ...needs, rowlenght: 1 } as never))) as Error;
      const [, list = ''] = /Its options are (.*)\.$/.exec(error.message) ?? [];
      for (const key of list.split(', ')) {
        // The module is already loaded and not read again.
        if (key === 'wasm' || key === 'workerUrl' || key === 'headers') continue;
        const wrong = await thrownBy(() => call({ ...needs, [key]: Symbol('wrong') } as never));
        expect(wrong, key).toMatchObject({ code: 'ARGUMENT' });
        expect((wrong as Error).message, key).not.toMatch(/invalid type|expected|u8|usize|serde|recipe is invalid/);
      }
    },
  );

  test('of init are checked by every entry', async () => {
    for (const entry of [await import('quantpress/inline'), await import('quantpress/slim')]) {
      const error = await thrownBy(() => entry.init({ wsam: 1 } as never));
      expect(error).toMatchObject({ code: 'ARGUMENT', details: { owner: 'init', option: 'wsam' } });
    }
    const { init } = await import('quantpress/slim');
    expect(await thrownBy(() => init({} as never))).toMatchObject({ code: 'ARGUMENT', details: { argument: 'wasm' } });
  });

  test('a misspelt key gets a suggestion', async () => {
    const near = async (run: () => unknown) => (await thrownBy(run)) as InstanceType<typeof QuantpressError>;
    const options = { quantType: 'fp4' } as object;
    expect((await near(() => quantpress.quantize4bit(values, options))).message).toBe(
      "quantize4bit has no option 'quantType'. Did you mean 'dataType'? Its options are dataType, blockSize.",
    );
    const lower = { rowlength: 64 } as object;
    expect((await near(() => quantpress.quantize(values, 'Q8_0', lower))).details).toMatchObject({
      owner: 'quantize',
      nearest: 'rowLength',
    });
    const progress = { onprogress() {}, workers: 0 } as object;
    const target = new quantpress.MemoryTarget();
    const error = await near(() => quantpress.quantizeModel(model, target, 'Q8_0', progress));
    expect(error.message).toContain("Did you mean 'onProgress'?");
  });
});

/** Functions, constructors and methods of a declaration file that take options, by the names of `calls`. */
function exported(declarations: string): string[] {
  const found: string[] = [];
  let Class = '';
  // One declaration on a line or over several, up to its semicolon.
  for (const [, name, free, method, parameters = ''] of declarations.matchAll(
    /^(?:export (?:declare )?(?:abstract )?class (\w+)|(?:export declare (?:async )?function (\w+)| {4}(?:static )?(\w+))\(([\s\S]*?)\)(?::|;))/gm,
  )) {
    if (name !== undefined) Class = name;
    // `Error` has its own options.
    else if (/\boptions\??: (?!ErrorOptions)/.test(parameters)) {
      found.push(free ?? (method === 'constructor' ? Class : `${Class}.${method}`));
    }
  }
  return found;
}
