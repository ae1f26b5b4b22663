import {
  BLOCK_SIZE,
  type BlockSize4Bit,
  type DataType4Bit,
  DOUBLE_QUANT_BLOCK_SIZE,
  DoubleQuantized4Bit,
  dequantize4bit,
  dequantize4bitDouble,
  dequantize4bitDoubleInto,
  dequantize4bitInto,
  fromStateDict,
  init,
  Quantized4Bit,
  quantize4bit,
  quantize4bitDouble,
  quantize4bitDoubleInto,
  quantize4bitInto,
  table4bit,
} from 'quantpress';
import { beforeAll, describe, expect, test } from 'vitest';
import { refusal } from './support/refusal.js';
import { bits, bytes, floats, golden, type Packed } from './support/golden.js';

interface Case {
  name: string;
  quant_type: DataType4Bit;
  blocksize: BlockSize4Bit;
  decoded: Packed;
  codes: Packed;
  absmax: Packed;
}
interface Reference {
  nf4_table: Packed;
  fp4_table: Packed;
  cases: (Case & { input: Packed })[];
  double: (Case & { absmax_codes: Packed; nested_absmax: Packed; offset: number })[];
}

beforeAll(() => init());

const reference = golden<Reference>('fourbit/bitsandbytes.json');
const weights = Float32Array.from({ length: 333 }, (_, index) => Math.sin(index * 0.7) * (1 + (index % 17) / 5));

describe('as bitsandbytes on a CPU', () => {
  test.each(reference.cases)('$name', ({ quant_type, blocksize, input, codes, absmax, decoded }) => {
    const tensor = quantize4bit(floats(input), { dataType: quant_type, blockSize: blocksize });
    expect(tensor.codes).toEqual(bytes(codes));
    expect(bits(tensor.absmax)).toEqual(bits(floats(absmax)));
    const wanted = floats(decoded);
    expect(bits(dequantize4bit(tensor).subarray(0, wanted.length))).toEqual(bits(wanted));
  });

  test.each(reference.double)('$name', (wanted) => {
    const absmax = floats(wanted.absmax);
    const length = absmax.length * wanted.blocksize;
    const codes = new Uint8Array(length / 2);
    codes.set(bytes(wanted.codes));
    const single = new Quantized4Bit({
      codes,
      absmax,
      length,
      blockSize: wanted.blocksize,
      dataType: wanted.quant_type,
    });
    const double = DoubleQuantized4Bit.fromSingle(single, wanted.offset);
    expect(double.absmaxCodes).toEqual(bytes(wanted.absmax_codes));
    expect(bits(double.nestedAbsmax)).toEqual(bits(floats(wanted.nested_absmax)));
    const decoded = floats(wanted.decoded);
    expect(bits(dequantize4bitDouble(double).subarray(0, decoded.length))).toEqual(bits(decoded));
  });

  test('the codebooks equal those of bitsandbytes', () => {
    expect(table4bit('nf4')).toEqual(floats(reference.nf4_table));
    expect(table4bit('fp4')).toEqual(floats(reference.fp4_table));
    expect(table4bit('int4')[9]).toBe(-1);
  });
});

describe('structures', () => {
  test('report their stored size', () => {
    const single = quantize4bit(new Float32Array(64 * 1024).fill(1));
    expect(single.memoryBytes).toBe(32 * 1024 + 1024 * 4);
    expect(single.compressionRatio).toBe(32 / 4.5);
    const double = quantize4bitDouble(new Float32Array(64 * 1024).fill(1));
    expect(double.memoryBytes).toBe(32 * 1024 + 1024 + 4 * 4 + 4);
    expect(double.doubleQuantSavings).toBe(single.memoryBytes - double.memoryBytes);
    expect([BLOCK_SIZE, DOUBLE_QUANT_BLOCK_SIZE]).toEqual([64, 256]);
  });

  test('survive serialization and a bitsandbytes state dict', () => {
    const single = quantize4bit(weights, { dataType: 'fp4', blockSize: 128 });
    expect(Quantized4Bit.fromBytes(single.toBytes())).toEqual(single);
    expect(new Quantized4Bit(structuredClone({ ...single }))).toEqual(single);
    const double = quantize4bitDouble(weights);
    expect(DoubleQuantized4Bit.fromBytes(double.toBytes())).toEqual(double);
    expect(dequantize4bit(double.toSingle())).toEqual(dequantize4bitDouble(double));

    const other = { name: 'w.bias', dtype: 'BF16', shape: [1], data: new Uint8Array(2) };
    const tensors = [other, ...single.toStateDict('w', [333]), ...double.toStateDict('v', [3, 111], 'bfloat16')];
    expect(fromStateDict(tensors, 'w')).toEqual({ tensor: single, shape: [333], dtype: 'float32' });
    expect(fromStateDict(tensors, 'v')).toEqual({ tensor: double, shape: [3, 111], dtype: 'bfloat16' });
    expect(tensors.map(({ name }) => name)).toContain('v.quant_state.bitsandbytes__nf4');
    const state = tensors.find(({ name }) => name === 'w.quant_state.bitsandbytes__fp4');
    expect(new TextDecoder().decode(state?.data)).toBe(
      '{"quant_type": "fp4", "blocksize": 128, "dtype": "float32", "shape": [333]}',
    );
  });

  test("write into the caller's memory", () => {
    const [codes, absmax, out] = [new Uint8Array(167), new Float32Array(6), new Float32Array(333)];
    quantize4bitInto(weights, codes, absmax);
    const single = quantize4bit(weights);
    expect([codes, absmax]).toEqual([single.codes, single.absmax]);
    dequantize4bitInto(single, out);
    expect(out).toEqual(dequantize4bit(single));
    const [absmaxCodes, nested] = [new Uint8Array(6), new Float32Array(1)];
    const offset = quantize4bitDoubleInto(weights, codes, absmaxCodes, nested);
    const double = quantize4bitDouble(weights);
    expect([offset, absmaxCodes, nested]).toEqual([double.offset, double.absmaxCodes, double.nestedAbsmax]);
    dequantize4bitDoubleInto(double, out);
    expect(out).toEqual(dequantize4bitDouble(double));
  });

  test.each<[string, () => unknown, string]>([
    ['a NaN', () => quantize4bit(Float32Array.of(1, Number.NaN)), 'NON_FINITE'],
    ['a block size', () => quantize4bit(weights, { blockSize: 65 as 64 }), 'RANGE'],
    ['a type', () => quantize4bit(weights, { dataType: 'nf5' as 'nf4' }), 'UNKNOWN_NAME'],
    ['an array', () => quantize4bit([1] as unknown as Float32Array), 'ARGUMENT'],
    ['too few absmax', () => quantize4bitInto(weights, new Uint8Array(167), new Float32Array(5)), 'LENGTH'],
    ['too few codes', () => quantize4bitInto(weights, new Uint8Array(166), new Float32Array(6)), 'LENGTH'],
    ['an invalid tensor', () => dequantize4bit({} as Quantized4Bit), 'ARGUMENT'],
    ['an invalid length', () => dequantize4bit({ ...quantize4bit(weights), length: 2 ** 40 }), 'RANGE'],
    ['a length that does not fit', () => dequantize4bit({ ...quantize4bit(weights), length: 335 }), 'LENGTH'],
    ['cut bytes', () => Quantized4Bit.fromBytes(quantize4bit(weights).toBytes().subarray(0, 99)), 'TRUNCATED'],
    ['other bytes', () => DoubleQuantized4Bit.fromBytes(quantize4bit(weights).toBytes()), 'MAGIC'],
    ['int4 for bitsandbytes', () => quantize4bit(weights, { dataType: 'int4' }).toStateDict('w', [333]), 'UNSUPPORTED'],
    ['a shape that does not fit', () => quantize4bit(weights).toStateDict('w', [334]), 'LENGTH'],
    ['a missing weight', () => fromStateDict([], 'w'), 'ARGUMENT'],
    ['the ratio of an empty tensor', () => quantize4bit(new Float32Array(0)).compressionRatio, 'NO_DATA'],
  ])('%s is refused', (_, run, code) => {
    expect(refusal(run)).toBe(code);
  });
});
