/** NF4 and FP4 for `transformers`: the same tensors as it saves, with each one aligned. */

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import {
  dequantize4bit,
  dequantize4bitDouble,
  diffModels,
  bnbConfig,
  fromStateDict,
  init,
  MemoryTarget,
  openModel,
  planModel,
  quantize4bit,
  quantizeModel,
  type BnbPreset,
  type Model,
  type QuantizeModelOptions,
  type Recipe,
  type SafetensorsDtype,
  type StateTensor,
} from 'quantpress';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { failure } from './support/failure.js';
import { folder, sha256 } from './support/files.js';
import { golden } from './support/golden.js';
import { gauss, uniform } from './support/random.js';
import { WHALE } from './support/whale.js';

beforeAll(() => init());

interface Saved {
  config: string;
  safetensors: string;
}
const saved = golden<Record<'plain' | 'nf4' | 'fp4', Saved>>('fourbit/transformers.json');
const weights = (name: keyof typeof saved) => new Uint8Array(Buffer.from(saved[name].safetensors, 'base64'));
const text = (content: string) => new TextEncoder().encode(content);
const plain = () => [new File([weights('plain')], 'model.safetensors'), new File([saved.plain.config], 'config.json')];

/** The tensors of a safetensors file, read straight from the specification. */
function tensorsOf(file: Uint8Array): Map<string, StateTensor & { start: number }> {
  const length = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
  const { __metadata__, ...records } = JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + length))) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  const entries = Object.entries(records).map(
    ([
      name,
      {
        dtype,
        shape,
        data_offsets: [from, to],
      },
    ]) => {
      const start = 8 + length + from;
      return [
        name,
        { name, dtype: dtype as SafetensorsDtype, shape, start, data: file.slice(start, 8 + length + to) },
      ] as const;
    },
  );
  return new Map(entries);
}

function safetensors(
  tensors: Record<string, { dtype: string; shape: number[]; data: Uint8Array }>,
): Uint8Array<ArrayBuffer> {
  let at = 0;
  const records = Object.entries(tensors).map(([name, { dtype, shape, data }]) => {
    at += data.length;
    return [name, { dtype, shape, data_offsets: [at - data.length, at] }];
  });
  const header = text(JSON.stringify(Object.fromEntries(records)));
  const length = new Uint8Array(BigUint64Array.of(BigInt(header.length)).buffer);
  return new Uint8Array(Buffer.concat([length, header, ...Object.values(tensors).map(({ data }) => data)]));
}

async function open(input: Parameters<typeof openModel>[0]): Promise<Model> {
  const model = await openModel(input);
  onTestFinished(() => model.close());
  return model;
}

async function made(
  model: Model,
  recipe: Recipe | Recipe['preset'],
  options?: QuantizeModelOptions,
): Promise<Uint8Array<ArrayBuffer>> {
  const target = new MemoryTarget();
  await quantizeModel(model, target, recipe, options);
  return target.bytes as Uint8Array<ArrayBuffer>;
}

const f32 = (count: number, seed: number) => {
  const random = gauss(uniform(seed));
  return Float32Array.from({ length: count }, () => random());
};
const bytesOf = (floats: Float32Array) => new Uint8Array(floats.buffer);

describe.each([
  ['nf4', { preset: 'NF4', doubleQuant: true }],
  ['fp4', { preset: 'fp4' as 'FP4' }],
] as const)('%s', (kind, recipe) => {
  test('has the tensors that transformers saves', async () => {
    const [ours, theirs] = [tensorsOf(await made(await open(plain()), recipe)), tensorsOf(weights(kind))];
    expect([...ours.keys()].sort()).toEqual([...theirs.keys()].sort());
    const state = ({ data }: StateTensor) => JSON.parse(new TextDecoder().decode(data)) as { nested_offset?: number };
    for (const [name, tensor] of theirs) {
      const our = ours.get(name) as StateTensor;
      if (name.includes('.quant_state.')) {
        const [{ nested_offset: a, ...rest }, { nested_offset: b, ...others }] = [state(our), state(tensor)];
        expect(rest).toEqual(others);
        // torch.mean, whose last bits depend on the machine.
        if (a !== undefined && b !== undefined) expect(Math.abs(a - b)).toBeLessThanOrEqual(4 * 2 ** -24 * Math.abs(b));
        expect(a === undefined).toBe(b === undefined);
      } else {
        expect([name, our.dtype, our.shape]).toEqual([name, tensor.dtype, tensor.shape]);
        expect([name, Buffer.compare(our.data, tensor.data)]).toEqual([name, 0]);
      }
    }
  });

  test('has the config.json of transformers and leaves the other files unchanged', async () => {
    const config = bnbConfig(await open(plain()), recipe);
    const { quantization_config, ...rest } = JSON.parse(config);
    const { quantization_config: theirs, ...others } = JSON.parse(saved[kind].config);
    expect(theirs).toMatchObject({ ...quantization_config, llm_int8_skip_modules: null });
    expect(quantization_config.llm_int8_skip_modules).toEqual(['lm_head', 'model.embed_tokens']);
    expect(rest).toEqual(others);
    expect(config).toContain('"rope_theta": 10000.0');
  });

  test('has aligned tensors and the same bytes from every driver', async () => {
    const [a, b] = [f32(7 * 9, 1), f32(33 * 64, 2)];
    const tensors = {
      ids: { dtype: 'I64', shape: [3], data: new Uint8Array(24).fill(1) },
      flag: { dtype: 'U8', shape: [], data: Uint8Array.of(7) },
      'a.weight': { dtype: 'F32', shape: [7, 9], data: bytesOf(a) },
      'b.weight': { dtype: 'F32', shape: [33, 64], data: bytesOf(b) },
      'half.bias': { dtype: 'F16', shape: [3], data: new Uint8Array(6) },
      'a_norm.weight': { dtype: 'F32', shape: [1], data: new Uint8Array(4) },
    };
    const model = await open(safetensors(tensors));
    const file = await made(model, recipe, { workers: 2 });
    const written = tensorsOf(file);
    for (const { name, dtype, start } of written.values()) {
      const size =
        new Map([
          ['F32', 4],
          ['I64', 8],
          ['F16', 2],
        ]).get(dtype) ?? 1;
      expect([name, start % size]).toEqual([name, 0]);
    }
    expect(written.get('flag')).toMatchObject({ dtype: 'U8', shape: [] });
    const again = await open(file);
    expect(again.tensors.length).toBe(written.size);
    for (const [name, values, shape] of [
      ['a.weight', a, [7, 9]],
      ['b.weight', b, [33, 64]],
    ] as const) {
      const state = fromStateDict([...written.values()], name);
      expect([state.shape, state.dtype]).toEqual([shape, 'float32']);
      expect(state.tensor.codes).toEqual(quantize4bit(values, { dataType: kind }).codes);
    }
    const ordered = Object.assign(new MemoryTarget(), { ordered: true });
    await quantizeModel(model, ordered, recipe, { workers: 2 });
    expect(sha256(ordered.bytes as Uint8Array)).toBe(sha256(file));
    expect(sha256(await made(model, recipe, { workers: 0 }))).toBe(sha256(file));
  });

  test('has the same bytes with small tiles and after resuming', async () => {
    const place = folder();
    const values = f32(1100 * 1999, 3);
    writeFileSync(
      place.file('big.safetensors'),
      safetensors({ 'big.weight': { dtype: 'F32', shape: [1100, 1999], data: bytesOf(values) } }),
    );
    const model = await open(place.file('big.safetensors'));
    const stop = new AbortController();
    const interrupted = quantizeModel(model, place.file('out'), recipe, {
      resume: true,
      workers: 1,
      signal: stop.signal,
      onProgress: () => stop.abort(new Error('enough')),
    });
    await expect(interrupted).rejects.toThrow('enough');
    await quantizeModel(model, place.file('out'), recipe, { resume: true, workers: 2 });
    const file = new Uint8Array(readFileSync(place.file('out')));
    const { tensor } = fromStateDict([...tensorsOf(file).values()], 'big.weight');
    const whole = quantize4bit(values, { dataType: kind });
    expect(Buffer.compare(tensor.codes, whole.codes)).toBe(0);
    if (!('offset' in tensor)) expect(tensor.absmax).toEqual(whole.absmax);
    expect(sha256(file)).toBe(sha256(await made(model, recipe, { workers: 2 })));
  });
});

test.each([
  { preset: 'NF4' },
  { preset: 'FP4' },
  { preset: 'NF4', doubleQuant: true },
  { preset: 'FP4', doubleQuant: true },
] as const)('a report has the errors of the decoded file: %o', async (recipe) => {
  // A tensor of two tiles, the second with an odd end; one tile of F16; and a copied tensor.
  const big = f32(1049 * 1001, 5);
  const halves = Uint16Array.from(
    { length: 33 * 64 },
    (_, i) => 0x3c00 + ((i * 7919) % 1024) - (i % 3 === 0 ? 0 : 0x400),
  );
  const source = safetensors({
    'a.weight': { dtype: 'F32', shape: [1049, 1001], data: bytesOf(big) },
    'b.weight': { dtype: 'F16', shape: [33, 64], data: new Uint8Array(halves.buffer) },
    'norm.weight': { dtype: 'F32', shape: [64], data: bytesOf(f32(64, 9)) },
  });
  const model = await open(source);
  const target = new MemoryTarget();
  const report = await quantizeModel(model, target, recipe, { report: true, workers: 2 });
  const again = await quantizeModel(model, new MemoryTarget(), recipe, { report: true, workers: 0 });
  expect(again.tensors).toEqual(report.tensors);
  const written = [...tensorsOf(target.bytes as Uint8Array).values()];
  for (const { name, error } of report.tensors) {
    if (name === 'norm.weight') {
      expect(error).toMatchObject({ rmse: 0, maxError: 0, cosineSimilarity: 1, sqnrDb: Infinity });
      continue;
    }
    const { tensor } = fromStateDict(written, name);
    const decoded = 'offset' in tensor ? dequantize4bitDouble(tensor) : dequantize4bit(tensor);
    const original = await model.readTensor(name);
    const differences = Array.from(decoded, (y, i) => y - (original[i] ?? 0));
    expect(error?.maxError).toBe(differences.reduce((most, e) => Math.max(most, Math.abs(e)), 0));
    const sum = differences.reduce((total, e) => total + e * e, 0);
    // Sums in another order differ in their last bits.
    expect(error?.rmse).toBeCloseTo(Math.sqrt(sum / decoded.length), 12);
    const shape = name === 'a.weight' ? [1049, 1001] : [33, 64];
    const other = await open(safetensors({ [name]: { dtype: 'F32', shape, data: bytesOf(decoded) } }));
    const { tensors } = await diffModels(model, other);
    const difference = tensors.find((tensor) => tensor.name === name)?.error;
    // Sums of one tile are bit-identical.
    if (name === 'b.weight') expect(error).toEqual(difference);
    else expect(error?.sqnrDb).toBeCloseTo(difference?.sqnrDb ?? 0, 10);
  }
});

test('excluded modules are not quantized and are recorded in config.json', async () => {
  const model = await open(plain());
  const recipe: Recipe = { preset: 'NF4', excludeModules: ['mlp', 'layers.0.self_attn.q_proj'] };
  const plan = await planModel(model, recipe);
  expect(plan.tensors.filter(({ to }) => String(to) === 'NF4').map(({ name }) => name)).toEqual(
    ['k', 'o', 'v'].map((letter) => `model.layers.0.self_attn.${letter}_proj.weight`),
  );
  expect(plan.tensors.find(({ name }) => name.includes('q_proj'))?.why).toBe('the recipe excludes it');
  expect(JSON.parse(bnbConfig(model, recipe)).quantization_config.llm_int8_skip_modules).toEqual(
    expect.arrayContaining(['model.layers.0.mlp.up_proj', 'model.layers.0.self_attn.q_proj', 'lm_head']),
  );
  expect((await made(model, recipe)).length).toBe(plan.size);
});

describe('is rejected', () => {
  const linear = { dtype: 'F32', shape: [2, 64], data: bytesOf(f32(128, 1)) };

  test.each([
    ['a GGUF model', () => WHALE, { preset: 'NF4' }, 'UNSUPPORTED'],
    ['a model that is quantized already', () => weights('nf4'), { preset: 'NF4' }, 'ARGUMENT'],
    [
      'GPT-2, whose weights are transposed',
      () => safetensors({ 'h.0.attn.c_attn.weight': linear }),
      { preset: 'FP4' },
      'UNSUPPORTED',
    ],
    ['an option of llama-quantize', plain, { preset: 'NF4', pure: true }, 'ARGUMENT'],
    ['its own option for another preset', plain, { preset: 'Q4_0', doubleQuant: true }, 'ARGUMENT'],
    ['excluded modules that are not a list', plain, { preset: 'NF4', excludeModules: 'mlp' }, 'ARGUMENT'],
  ] as const)('%s', async (_, input, recipe, code) => {
    const model = await open(input());
    expect(await failure(planModel(model, recipe as unknown as Recipe))).toMatchObject({ code });
  });

  test('a NaN weight is reported with its position', async () => {
    const values = f32(128, 1);
    values[70] = Number.NaN;
    const model = await open(safetensors({ 'a.weight': { ...linear, data: bytesOf(values) } }));
    expect(await failure(quantizeModel(model, new MemoryTarget(), 'NF4'))).toMatchObject({
      code: 'NON_FINITE',
      details: { tensor: 'a.weight', row: 1, column: 6 },
    });
  });

  test.each([
    ['without config.json', [new File([weights('plain')], 'model.safetensors')], 'NOT_FOUND'],
    ['one that is not JSON', [...plain().slice(0, 1), new File(['{'], 'config.json')], 'MALFORMED'],
    [
      'one of a quantized model',
      [...plain().slice(0, 1), new File(['{"quantization_config":{}}'], 'config.json')],
      'ARGUMENT',
    ],
  ])('a folder with %s', async (_, files, code) => {
    const model = await open(files);
    expect(() => bnbConfig(model, { preset: 'NF4' })).toThrow(expect.objectContaining({ code }));
  });
});

test('the command line writes a complete folder or none', async () => {
  const place = folder();
  mkdirSync(place.file('hf'));
  for (const file of plain()) writeFileSync(place.file(`hf/${file.name}`), new Uint8Array(await file.arrayBuffer()));
  writeFileSync(place.file('hf/tokenizer.json'), '{}');
  const run = (...args: string[]) =>
    execFileSync(process.execPath, ['dist/cli/main.js', 'quantize', ...args], { stdio: 'pipe' });
  run('--double-quant', '--exclude-module', 'mlp', place.file('hf'), place.file('out'), 'nf4');
  expect(readdirSync(place.file('out')).sort()).toEqual(['config.json', 'model.safetensors', 'tokenizer.json']);
  const recipe: Recipe = { preset: 'NF4', doubleQuant: true, excludeModules: ['mlp'] };
  const model = await open(place.file('hf'));
  expect(sha256(place.file('out/model.safetensors'))).toBe(sha256(await made(model, recipe)));
  expect(readFileSync(place.file('out/config.json'), 'utf8')).toBe(bnbConfig(model, recipe));
  expect(() => run('--pure', place.file('hf'), place.file('none'), 'NF4')).toThrow();
  expect(existsSync(place.file('none'))).toBe(false);
});

/** A Python with transformers, bitsandbytes and torch, if installed: they take gigabytes. */
const PYTHON = process.env.QUANTPRESS_TRANSFORMERS;

test.runIf(PYTHON)(
  'transformers loads our folders with the values of bitsandbytes',
  async () => {
    const place = folder();
    for (const kind of ['nf4', 'fp4']) {
      for (const doubleQuant of [false, true]) {
        const out = place.file(`${kind}-${doubleQuant}`);
        mkdirSync(out);
        const model = await open(plain());
        const recipe = { preset: kind as BnbPreset, doubleQuant };
        await quantizeModel(model, `${out}/model.safetensors`, recipe);
        writeFileSync(`${out}/config.json`, bnbConfig(model, recipe));
      }
    }
    mkdirSync(place.file('plain'));
    for (const file of plain())
      writeFileSync(place.file(`plain/${file.name}`), new Uint8Array(await file.arrayBuffer()));
    const answer = execFileSync(PYTHON as string, ['tests/oracle/transformers_load.py', place.path], {
      encoding: 'utf8',
    });
    expect(answer.trim().split('\n').slice(-4)).toEqual(['fp4-false 7', 'fp4-true 7', 'nf4-false 7', 'nf4-true 7']);
  },
  300_000,
);

test('a decoded tensor has the error of its 4-bit type', async () => {
  const file = tensorsOf(await made(await open(plain()), 'NF4'));
  const name = 'model.layers.0.mlp.up_proj.weight';
  const { tensor } = fromStateDict([...file.values()], name);
  const decoded = dequantize4bit(tensor as Parameters<typeof dequantize4bit>[0]);
  const original = await (await open(plain())).readTensor(name);
  const error = original.reduce((sum, x, index) => sum + (x - (decoded[index] ?? 0)) ** 2, 0);
  const power = original.reduce((sum, x) => sum + x * x, 0);
  expect(10 * Math.log10(power / error)).toBeGreaterThan(18);
});
