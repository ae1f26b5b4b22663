import { dequantize, formats, GGUF_BLOCK_SIZE, GGUFQuantType, init, Q4_0, Q8_0, quantize } from 'quantpress';
import { beforeAll, expect, test } from 'vitest';
import { refusal } from './support/refusal.js';

beforeAll(() => init());

const weights = Float32Array.from({ length: 100 }, (_, index) => Math.sin(index * 0.7) * (1 + (index % 17) / 5));

test.each([
  ['Q4_0', Q4_0, 72],
  ['Q8_0', Q8_0, 136],
] as const)('%s has the bytes of the format, padded with zeros', (name, Type, size) => {
  const tensor = Type.quantize(weights);
  const padded = new Float32Array(128);
  padded.set(weights);
  const blocks = quantize(padded, name);
  expect(tensor.toBytes()).toEqual(blocks);
  expect(tensor.dequantize()).toEqual(dequantize(blocks, name).slice(0, 100));
  expect([tensor.memoryBytes, tensor.ggufBytes, tensor.numBlocks, tensor.length]).toEqual([size, size, 4, 100]);
  expect(tensor.compressionRatio).toBe(400 / size);
  const out = new Float32Array(100);
  Type.fromBytes(blocks, 100).dequantizeInto(out);
  expect(out).toEqual(tensor.dequantize());
  const { bytes } = formats().find((format) => format.name === name) ?? {};
  expect([GGUFQuantType[name].bytesPerBlock, GGUF_BLOCK_SIZE]).toEqual([bytes, 32]);
});

test.each<[string, () => unknown, string]>([
  ['half a block', () => Q4_0.fromBytes(new Uint8Array(17), 32), 'LENGTH'],
  ['one block too many', () => Q8_0.fromBytes(new Uint8Array(68), 32), 'LENGTH'],
  ['an infinite scale', () => Q8_0.fromBytes(Uint8Array.of(0, 0x7c, ...new Uint8Array(32)), 32), 'INVALID_BLOCK'],
  ['a NaN', () => Q4_0.quantize(new Float32Array(5).fill(Number.NaN)), 'NON_FINITE'],
  ['too small an output', () => Q4_0.quantize(weights).dequantizeInto(new Float32Array(99)), 'LENGTH'],
  ['the ratio of an empty tensor', () => Q4_0.quantize(new Float32Array(0)).compressionRatio, 'NO_DATA'],
])('%s is refused', (_, run, code) => {
  expect(refusal(run)).toBe(code);
});
