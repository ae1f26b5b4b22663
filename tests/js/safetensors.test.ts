/** safetensors models: opened by content, read, inspected, and quantized to GGUF. folders.test.ts has those in several files. */

import { init, MemoryTarget, openModel, quantize, quantizeModel } from 'quantpress';
import { beforeAll, describe, expect, it } from 'vitest';
import { safetensorsFile as safetensors } from './support/safetensors.js';

beforeAll(() => init());

const weights = Float32Array.from({ length: 8 * 64 }, (_, i) => Math.fround(Math.sin(i)));
const file = safetensors({
  'a.weight': { dtype: 'F32', shape: [8, 64], data: new Uint8Array(weights.buffer) },
  'b.weight': { dtype: 'F8_E4M3', shape: [2, 32], data: new Uint8Array(64).fill(0x38) },
  scalar: { dtype: 'BF16', shape: [], data: Uint8Array.of(0x80, 0x3f) },
});

describe('a safetensors file', () => {
  it('is recognised by its content, and its tensors can be read', async () => {
    const model = await openModel(file);
    expect(model).toMatchObject({ container: 'safetensors', version: 0 });
    expect(model.metadata.get('format')).toEqual({ type: 'string', value: 'pt' });
    expect(model.tensors.map(({ name, type, shape }) => [name, type, shape])).toEqual([
      ['a.weight', 'F32', [64, 8]],
      ['b.weight', 'F8_E4M3', [32, 2]],
      ['scalar', 'BF16', [1]],
    ]);
    expect(await model.readTensor('a.weight', { rows: [3, 4] })).toEqual(weights.slice(192, 256));
    expect(await model.readTensor('b.weight')).toEqual(new Float32Array(64).fill(1));
    expect(await model.readTensor('scalar')).toEqual(Float32Array.of(1));
    await model.close();
  });

  it('is quantized to a GGUF whose tensors are the encoder’s own bytes', async () => {
    const model = await openModel(file);
    const target = new MemoryTarget();
    const report = await quantizeModel(model, target, { preset: 'Q4_0', plain: true }, { workers: 0 });
    expect(report.tensors.find(({ name }) => name === 'b.weight')).toMatchObject({ from: 'F8_E4M3', to: 'Q4_0' });
    const bytes = target.bytes as Uint8Array<ArrayBuffer>;
    const made = await openModel(bytes);
    const a = made.tensor('a.weight');
    expect(bytes.slice(a.offset, a.offset + a.bytes)).toEqual(quantize(weights, 'Q4_0', { rowLength: 64 }));
    await made.close();
    await model.close();
  });

  it('is rejected with one sentence if it is damaged', async () => {
    await expect(openModel(file.slice(0, -1))).rejects.toMatchObject({ code: 'TRUNCATED' });
    const longer = new Uint8Array(file.length + 1);
    longer.set(file);
    await expect(openModel(longer)).rejects.toMatchObject({ code: 'MALFORMED' });
  });
});
