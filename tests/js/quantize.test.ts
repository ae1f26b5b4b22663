import { readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import {
  BlobTarget,
  init,
  MemoryTarget,
  openModel,
  quantize,
  type PresetName,
  type Progress,
  quantizeModel,
  type QuantizeModelOptions,
  type Recipe,
  type SourceInput,
  type Target,
} from 'quantpress';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { failure } from './support/failure.js';
import { folder, sha256 } from './support/files.js';
import { floats, gguf, LLAMA, TYPE, wave } from './support/gguf.js';
import { legacyMatrix } from './support/imatrix.js';
import { serve } from './support/range-server.js';
import { WHALE, WHALE_IMATRIX, WHALE_IMATRIX_SHA256, WHALE_SHA256 } from './support/whale.js';

beforeAll(() => init());

/** Quantizes to memory. */
async function quantized(
  input: SourceInput,
  recipe: Recipe | Recipe['preset'],
  options?: QuantizeModelOptions,
): Promise<Uint8Array> {
  return (await convert(input, new MemoryTarget(), recipe, options)).bytes;
}

async function convert<T extends string | Target>(
  input: SourceInput,
  target: T,
  recipe: Recipe | Recipe['preset'],
  options?: QuantizeModelOptions,
) {
  const model = await openModel(input);
  try {
    return await quantizeModel(model, target, recipe, options);
  } finally {
    await model.close();
  }
}

describe('the result has what was written', () => {
  test('to memory, without a copy, beside the report of any target', async () => {
    const { file } = folder();
    const target = new MemoryTarget();
    const { bytes, ...report } = await convert(WHALE, target, 'Q4_K_M', { workers: 0 });
    expect(sha256(bytes)).toBe(WHALE_SHA256.Q4_K_M);
    expect(bytes).toBe(target.bytes);
    const { blob, ...ofBlob } = await convert(WHALE, new BlobTarget(), 'Q4_K_M', { workers: 0 });
    expect(sha256(new Uint8Array(await blob.arrayBuffer()))).toBe(WHALE_SHA256.Q4_K_M);
    const ofFile = await convert(WHALE, file('a.gguf'), 'Q4_K_M', { workers: 0 });
    expect(Object.keys(ofFile)).toEqual(Object.keys(report));
    expect([ofBlob, ofFile].map((other) => ({ ...other, seconds: 0 }))).toEqual([
      { ...report, seconds: 0 },
      { ...report, seconds: 0 },
    ]);
    // What looks like a target in memory and is not: its bytes are its own affair.
    const own = { ...counting(), bytes: 'mine' };
    expect(Object.keys(await convert(WHALE, own, 'Q4_K_M', { workers: 0 }))).toEqual(Object.keys(report));
  });

  test('to several targets, with each shard', async () => {
    const model = await openModel(WHALE);
    const recipe: Recipe = { preset: 'Q4_K_M', splitMaxSize: '1MB' };
    const split = await quantizeModel(model, () => new MemoryTarget(), recipe, { workers: 0, hashes: true });
    expect(split.bytes).toBeUndefined();
    expect(split.shards?.map(({ bytes }) => sha256(bytes))).toEqual(split.shards?.map(({ sha256 }) => sha256));
    expect(split.shards).toHaveLength(3);
    const whole = await quantizeModel(model, async () => new BlobTarget(), 'Q4_K_M', { workers: 0 });
    expect([whole.shards, whole.blob?.size]).toEqual([undefined, whole.size]);
    await model.close();
  });
});

/** A target that only takes. */
function counting(): Target {
  return { write: async () => {}, close: async () => {}, abort: async () => {} };
}

describe('the bytes of llama_model_quantize', () => {
  test.each(Object.entries(WHALE_SHA256) as [PresetName, string][])('%s', async (preset, sum) => {
    expect(sha256(await quantized(WHALE, preset))).toBe(sum);
  });

  test('are written for Q4_K_M with the importance matrix', async () => {
    const recipe: Recipe = { preset: 'Q4_K_M', imatrixFile: 'tiny-whale.imatrix.gguf' };
    expect(sha256(await quantized(WHALE, recipe, { imatrix: WHALE_IMATRIX }))).toBe(WHALE_IMATRIX_SHA256);
  });

  test.each([0, 1, 2, 4, 7])('with %i workers', async (workers) => {
    expect(sha256(await quantized(WHALE, 'Q4_K_M', { workers }))).toBe(WHALE_SHA256.Q4_K_M);
  });
});

test('the inline entry uses its embedded worker', async () => {
  const inline = await import('quantpress/inline');
  await inline.init();
  const model = await inline.openModel(WHALE);
  const target = new inline.MemoryTarget();
  await inline.quantizeModel(model, target, 'Q8_0', { workers: 2 });
  await model.close();
  expect(sha256(target.bytes ?? new Uint8Array())).toBe(WHALE_SHA256.Q8_0);
});

describe('the source does not matter', () => {
  const whale = () => readFileSync(WHALE);
  const sources: Record<string, () => Promise<SourceInput>> = {
    bytes: async () => whale(),
    'shared memory': async () => {
      const buffer = new SharedArrayBuffer(whale().length);
      new Uint8Array(buffer).set(whale());
      return buffer;
    },
    'a Blob': async () => new Blob([whale()]),
    'a FileHandle': async () => {
      const handle = await open(WHALE);
      onTestFinished(() => handle.close());
      return handle;
    },
    'a URL': () => serve(whale()),
  };
  test.each(Object.entries(sources))('%s', async (_, source) => {
    const input = await source();
    expect(sha256(await quantized(input, 'Q8_0', { workers: 2 }))).toBe(WHALE_SHA256.Q8_0);
  });
});

describe('the target does not matter', () => {
  test('a file', async () => {
    const { file, names } = folder();
    const report = await convert(WHALE, file('out.gguf'), 'Q8_0');
    expect(sha256(file('out.gguf'))).toBe(WHALE_SHA256.Q8_0);
    expect(names()).toEqual(['out.gguf']);
    expect(report).toMatchObject({ sourceSize: 7_379_552, size: 3_938_912 });
    expect(report.tensors.find(({ name }) => name === 'output.weight')).toMatchObject({ from: 'F16', to: 'Q8_0' });
  });

  test('a Blob, which accepts bytes only in order', async () => {
    const target = new BlobTarget();
    await convert(WHALE, target, 'Q4_K_M', { workers: 4 });
    expect(sha256(new Uint8Array((await target.blob?.arrayBuffer()) ?? []))).toBe(WHALE_SHA256.Q4_K_M);
  });

  test('a slow target limits the work to two tiles in flight per worker', async () => {
    const workers = 2;
    let under = 0;
    let most = 0;
    const inner = new MemoryTarget();
    const slow: Target = {
      open: (size) => inner.open(size),
      async write(offset, bytes) {
        under += 1;
        most = Math.max(most, under);
        await new Promise((resolve) => setTimeout(resolve, 5));
        await inner.write(offset, bytes);
        under -= 1;
      },
      close: () => inner.close(),
      abort: () => inner.abort(),
    };
    await convert(WHALE, slow, 'Q8_0', { workers });
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThanOrEqual(2 * workers);
    expect(sha256(inner.bytes ?? new Uint8Array())).toBe(WHALE_SHA256.Q8_0);
  });
});

test('progress rises to the total, tensor by tensor', async () => {
  const seen: Progress[] = [];
  await quantized(WHALE, 'Q4_0', { workers: 2, onProgress: (progress) => seen.push(progress) });
  const bytes = seen.map(({ bytesDone }) => bytesDone);
  expect(bytes).toEqual([...bytes].sort((a, b) => a - b));
  const last = seen.at(-1);
  expect(last?.bytesDone).toBe(last?.bytesTotal);
  expect(last?.tensorsDone).toBe(last?.tensorsTotal);
  expect(last?.eta).toBe(0);
  expect(seen.every(({ bytesPerSecond }) => Number.isFinite(bytesPerSecond))).toBe(true);
});

describe('aborting', () => {
  test.each([0, 2])('during the work, with %i workers, leaves nothing', async (workers) => {
    const { file, names } = folder();
    const stop = new AbortController();
    const reason = new Error('enough');
    const onProgress = () => stop.abort(reason);
    await expect(convert(WHALE, file('out'), 'Q6_K', { workers, signal: stop.signal, onProgress })).rejects.toBe(
      reason,
    );
    expect(names()).toEqual([]);
  });

  test('before the start rejects', async () => {
    const { file, names } = folder();
    await expect(convert(WHALE, file('out'), 'Q6_K', { signal: AbortSignal.abort() })).rejects.toThrow(/abort/i);
    expect(names()).toEqual([]);
  });

  test('keeps the existing file', async () => {
    const { file, names } = folder();
    writeFileSync(file('out'), 'precious');
    const stop = new AbortController();
    const options = { signal: stop.signal, onProgress: () => stop.abort() };
    await expect(convert(WHALE, file('out'), 'Q6_K', options)).rejects.toThrow();
    expect(names()).toEqual(['out']);
    expect(readFileSync(file('out'), 'utf8')).toBe('precious');
  });
});

describe('a failure', () => {
  /** Two matrices of 4096 x 1024: four tiles. */
  function model(weight: (index: number) => number): Uint8Array<ArrayBuffer> {
    return gguf(LLAMA, [
      floats('blk.0.ffn_up.weight', [4096, 1024], weight),
      floats('blk.0.ffn_norm.weight', [64], wave),
    ]);
  }

  test.each([0, 2])('is reported for a NaN weight, with its position (%i workers)', async (workers) => {
    const place = 900 * 4096 + 77;
    const input = model((index) => (index === place ? Number.NaN : index % 7));
    const { file, names } = folder();
    expect(await failure(convert(input, file('out'), 'Q8_0', { workers }))).toMatchObject({
      code: 'NON_FINITE',
      details: { tensor: 'blk.0.ffn_up.weight', row: 900, column: 77, index: place },
      message: expect.stringContaining("tensor 'blk.0.ffn_up.weight', row 900, column 77"),
    });
    expect(names()).toEqual([]);
  });

  test('is reported for a missing importance matrix', async () => {
    const { file, names } = folder();
    expect(await failure(convert(WHALE, file('out'), 'IQ2_XXS'))).toMatchObject({ code: 'NEEDS_IMPORTANCE' });
    expect(names()).toEqual([]);
  });

  test('is reported for a quantized model', async () => {
    const once = await quantized(WHALE, 'Q8_0');
    expect((await failure(quantized(once, 'Q4_0'))).message).toMatch(/requantiz/i);
    expect((await quantized(once, { preset: 'Q4_0', allowRequantize: true })).length).toBe(2_171_488);
  });

  test('is reported for a source that changes during the work', async () => {
    const { file, names } = folder();
    writeFileSync(file('in'), readFileSync(WHALE));
    const onProgress = () => utimesSync(file('in'), new Date(), new Date(0));
    expect(await failure(convert(file('in'), file('out'), 'Q8_0', { onProgress }))).toMatchObject({ code: 'CHANGED' });
    expect(names()).toEqual(['in']);
  });

  test('of the source is passed on', async () => {
    const whale = readFileSync(WHALE);
    const source = {
      size: whale.length,
      read: async (offset: number, length: number) => {
        if (offset > 3_000_000) throw new Error('the cable fell out');
        return new Uint8Array(whale.subarray(offset, offset + length));
      },
    };
    await expect(quantized(source, 'Q8_0', { workers: 2 })).rejects.toThrow('the cable fell out');
    await expect(quantized(source, 'Q8_0', { workers: 0 })).rejects.toThrow('the cable fell out');
  });

  test.each([true, false])('of a target (ordered: %s) aborts it with the error', async (ordered) => {
    let writes = 0;
    let told: unknown;
    const target: Target = {
      ordered,
      write: async () => {
        writes += 1;
        if (writes > 4) throw new Error('the paper ran out');
      },
      close: async () => {},
      abort: async (reason) => {
        told = reason;
      },
    };
    await expect(convert(WHALE, target, 'Q8_0', { workers: 2 })).rejects.toThrow('the paper ran out');
    expect(told).toEqual(new Error('the paper ran out'));
  });

  test('of a callback is passed on', async () => {
    const onProgress = () => {
      throw new Error('in the callback');
    };
    await expect(quantized(WHALE, 'Q8_0', { onProgress })).rejects.toThrow('in the callback');
  });

  test.each([
    ['that cannot be found', 'throw'],
    ['that ends', 'process.exit(3)'],
    ['that throws', "require('node:worker_threads').parentPort.on('message', () => { throw new Error('broken') })"],
  ])('of a worker %s is reported', async (name, script) => {
    const { file, names } = folder();
    if (script !== 'throw') writeFileSync(file('worker.cjs'), script);
    const error = await failure(convert(WHALE, file('out'), 'Q8_0', { workers: 2, workerUrl: file('worker.cjs') }));
    expect(error, name).toMatchObject({ code: 'WORKER' });
    expect(names().filter((entry) => entry.includes('out'))).toEqual([]);
  });

  test('is reported for an invalid number of workers', async () => {
    expect(await failure(quantized(WHALE, 'Q8_0', { workers: -1 }))).toMatchObject({ code: 'RANGE' });
  });
});

test('each expert of a stacked tensor is encoded with its own importance', async () => {
  // More rows than a tile has, and not a multiple of it: tiles end where experts do.
  const [columns, rows, experts] = [256, 5000, 3];
  const matrix = columns * rows;
  const tensor = floats('blk.0.ffn_up_exps.weight', [columns, rows, experts], (index) => wave(index) + wave(index * 7));
  const importance = Float32Array.from({ length: columns * experts }, (_, index) => 1 + ((index * index) % 97));
  const imatrix = legacyMatrix('blk.0.ffn_up_exps.weight', importance);
  const input = gguf({ ...LLAMA, 'llama.expert_count': experts }, [tensor]);
  const output = await quantized(input, { preset: 'Q4_K_S', pure: true }, { imatrix, workers: 2 });

  const weights = new Float32Array(tensor.bytes.buffer as ArrayBuffer);
  const parts = Array.from({ length: experts }, (_, expert) =>
    quantize(weights.slice(expert * matrix, (expert + 1) * matrix), 'Q4_K', {
      rowLength: columns,
      importance: importance.slice(expert * columns, (expert + 1) * columns),
    }),
  );
  const model = await openModel(output);
  const { offset, bytes, type } = model.tensor('blk.0.ffn_up_exps.weight');
  expect(type).toBe('Q4_K');
  expect(sha256(output.subarray(offset, offset + bytes))).toBe(sha256(Buffer.concat(parts)));
  await model.close();
});

test('a tensor of a copy-only type is copied whole, whatever its size', async () => {
  const ids = new Uint8Array(Int32Array.from({ length: 3_000_001 }, (_, index) => index * 77).buffer);
  const input = gguf(LLAMA, [
    { name: 'table', type: TYPE.I32, shape: [3_000_001], bytes: ids },
    floats('blk.0.ffn_up.weight', [64, 8], wave),
  ]);
  const output = await quantized(input, 'Q8_0', { workers: 2 });
  const model = await openModel(output);
  const { offset, bytes } = model.tensor('table');
  expect(sha256(output.subarray(offset, offset + bytes))).toBe(sha256(ids));
  await model.close();
});
