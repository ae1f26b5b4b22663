/** QLoRA's 4-bit block-wise formats with double quantization: `src/nf4/` for JavaScript. */

import {
  expectArray,
  expectBytes,
  expectFloats,
  expectLength,
  expectNumber,
  expectShape,
  expectText,
} from '../engine/check.js';
import { QuantpressError } from '../engine/error.js';
import {
  bytes,
  count,
  floats,
  readFields,
  readOptions,
  shape,
  text,
  type Reader,
  type ReaderTable,
} from '../engine/options.js';
import { blockSizeReader, dataTypeReader } from './codec-options.js';
import { call } from '../engine/wasm.js';
import type { DataType4Bit, BlockSize4Bit } from './codec-options.js';

export type { DataType4Bit, BlockSize4Bit } from './codec-options.js';

/** The default block size. */
export const BLOCK_SIZE = 64;

/** The number of absmax values per second-level scale. */
export const DOUBLE_QUANT_BLOCK_SIZE = 256;

/** Options of {@link quantize4bit}. */
export interface Quantize4BitOptions {
  /** The meaning of the codes; `nf4` by default. */
  dataType?: DataType4Bit | undefined;
  /** Weights per block; 64 by default. */
  blockSize?: BlockSize4Bit | undefined;
}

/** Options of {@link quantize4bitDouble}. */
export interface Quantize4BitDoubleOptions extends Quantize4BitOptions {
  /**
   * The offset subtracted from the absmax values before they are quantized: their mean by default, within 4 units in
   * the last place of `torch.mean`, whose last bits depend on the machine. Pass one to reproduce the bytes of a
   * particular run.
   */
  offset?: number | undefined;
}

const single: Reader<number> = (name, value) => {
  expectNumber(name, value, true);
  return value;
};

const OPTIONS: ReaderTable<Quantize4BitOptions> = { dataType: dataTypeReader, blockSize: blockSizeReader };

const DOUBLE_OPTIONS: ReaderTable<Quantize4BitDoubleOptions> = {
  dataType: dataTypeReader,
  blockSize: blockSizeReader,
  offset: single,
};

/** The fields of a {@link Quantized4Bit}. */
export interface Quantized4BitFields {
  /** Two codes per byte, the first in the high nibble; an odd end is padded with the code of 0. */
  codes: Uint8Array;
  /** The largest magnitude of every block. */
  absmax: Float32Array;
  /** The number of weights. */
  length: number;
  /** Weights per block; the last block may have fewer. */
  blockSize: BlockSize4Bit;
  /** The meaning of the codes. */
  dataType: DataType4Bit;
}

/** The fields of a {@link DoubleQuantized4Bit}. */
export interface DoubleQuantized4BitFields {
  /** Two codes per byte, the first in the high nibble. */
  codes: Uint8Array;
  /** The absmax of every block, after subtracting the offset, in bitsandbytes' dynamic 8-bit map. */
  absmaxCodes: Uint8Array;
  /** The largest magnitude of every 256 absmax values, after subtracting the offset. */
  nestedAbsmax: Float32Array;
  /** What was subtracted from all absmax values. */
  offset: number;
  /** The number of weights. */
  length: number;
  /** Weights per block. */
  blockSize: BlockSize4Bit;
  /** The meaning of the codes. */
  dataType: DataType4Bit;
}

const SINGLE: ReaderTable<Quantized4BitFields> = {
  codes: bytes,
  absmax: floats,
  length: count,
  blockSize: blockSizeReader,
  dataType: dataTypeReader,
};

const DOUBLE: ReaderTable<DoubleQuantized4BitFields> = {
  codes: bytes,
  absmaxCodes: bytes,
  nestedAbsmax: floats,
  offset: single,
  length: count,
  blockSize: blockSizeReader,
  dataType: dataTypeReader,
};

const readSingle = (tensor: unknown): Quantized4BitFields => readFields(SINGLE, 'tensor', tensor);
const readDouble = (tensor: unknown): DoubleQuantized4BitFields => readFields(DOUBLE, 'tensor', tensor);

/** The dtypes of safetensors files. */
export type SafetensorsDtype =
  | 'BOOL'
  | 'U8'
  | 'I8'
  | 'F8_E5M2'
  | 'F8_E4M3'
  | 'I16'
  | 'U16'
  | 'F16'
  | 'BF16'
  | 'I32'
  | 'U32'
  | 'F32'
  | 'F64'
  | 'I64'
  | 'U64';

/** One tensor of a state dict, as in safetensors. */
export interface StateTensor {
  /** The full name. */
  name: string;
  /** The dtype's name in safetensors; 4-bit weights use `U8` and `F32`. */
  dtype: SafetensorsDtype;
  /** The shape. */
  shape: number[];
  /** The bytes, little-endian. */
  data: Uint8Array;
}

/** A tensor of a file: its dtype may be one that is not known here. */
export interface AnyStateTensor extends Omit<StateTensor, 'dtype'> {
  dtype: string;
}

/** The type bitsandbytes decodes a weight to. */
export type StateDtype = 'float32' | 'float16' | 'bfloat16';

/** A weight read from a state dict. */
export interface LoadedState {
  /** Codes and scales. */
  tensor: Quantized4Bit | DoubleQuantized4Bit;
  /** The shape of the weight before it was quantized. */
  shape: number[];
  /** Its original type. */
  dtype: StateDtype;
}

const STATE: ReaderTable<AnyStateTensor> = { name: text, dtype: text, shape: shape as Reader<number[]>, data: bytes };

interface Sizes {
  memoryBytes: number;
  compressionRatio?: number;
  savings: number;
}

/** A tensor at 4 bits per weight plus 32 per block: 4.5 with blocks of 64. */
export class Quantized4Bit implements Quantized4BitFields {
  readonly codes: Uint8Array;
  readonly absmax: Float32Array;
  readonly length: number;
  readonly blockSize: BlockSize4Bit;
  readonly dataType: DataType4Bit;

  /**
   * Creates a tensor from its fields, for example from storage or another thread. They are checked against each other
   * on use.
   */
  constructor(fields: Quantized4BitFields) {
    ({
      codes: this.codes,
      absmax: this.absmax,
      length: this.length,
      blockSize: this.blockSize,
      dataType: this.dataType,
    } = readSingle(fields));
  }

  /** The number of stored bytes: codes and absmax. */
  get memoryBytes(): number {
    return this.#sizes().memoryBytes;
  }

  /**
   * The size of a `Float32Array` divided by this size.
   *
   * @throws {@link QuantpressError} `NO_DATA` for an empty tensor.
   */
  get compressionRatio(): number {
    return expectRatio(this.#sizes());
  }

  /** Serializes for {@link Quantized4Bit.fromBytes}. For other programs see {@link Quantized4Bit.toStateDict}. */
  toBytes(): Uint8Array<ArrayBuffer> {
    const tensor = readSingle(this);
    return call((engine) => engine.quantized4bitToBytes(tensor)) as Uint8Array<ArrayBuffer>;
  }

  /**
   * Reads what {@link Quantized4Bit.toBytes} wrote.
   *
   * @throws {@link QuantpressError} `TRUNCATED`, `MAGIC`, `MALFORMED`, `LENGTH` ... for invalid or incomplete bytes.
   */
  static fromBytes(bytes: Uint8Array): Quantized4Bit {
    expectBytes('bytes', bytes);
    return new Quantized4Bit(call((engine) => engine.quantized4bitFromBytes(bytes)) as Quantized4BitFields);
  }

  /**
   * Returns the tensors from which bitsandbytes reads this weight.
   *
   * @throws {@link QuantpressError} `UNSUPPORTED` for `int4`, `LENGTH` for a shape with another number of elements.
   */
  toStateDict(name: string, shape: readonly number[], dtype: StateDtype = 'float32'): StateTensor[] {
    return toStateDict(this, name, shape, dtype);
  }

  #sizes(): Sizes {
    const tensor = readSingle(this);
    return call((engine) => engine.size4bit(tensor)) as Sizes;
  }
}

/** A 4-bit tensor whose absmax values are 8-bit codes: 4.127 bits per weight with blocks of 64. */
export class DoubleQuantized4Bit implements DoubleQuantized4BitFields {
  readonly codes: Uint8Array;
  readonly absmaxCodes: Uint8Array;
  readonly nestedAbsmax: Float32Array;
  readonly offset: number;
  readonly length: number;
  readonly blockSize: BlockSize4Bit;
  readonly dataType: DataType4Bit;

  /**
   * Creates a tensor from its fields, for example from storage or another thread. They are checked against each other
   * on use.
   */
  constructor(fields: DoubleQuantized4BitFields) {
    ({
      codes: this.codes,
      absmaxCodes: this.absmaxCodes,
      nestedAbsmax: this.nestedAbsmax,
      offset: this.offset,
      length: this.length,
      blockSize: this.blockSize,
      dataType: this.dataType,
    } = readDouble(fields));
  }

  /** Quantizes the absmax of a tensor. `offset` is as in {@link Quantize4BitDoubleOptions}. */
  static fromSingle(tensor: Quantized4Bit, offset?: number): DoubleQuantized4Bit {
    if (offset !== undefined) expectNumber('offset', offset, true);
    const single = readSingle(tensor);
    return new DoubleQuantized4Bit(
      call((engine) => engine.doubleQuantize(single, offset)) as DoubleQuantized4BitFields,
    );
  }

  /** The tensor with its absmax as floats again. */
  toSingle(): Quantized4Bit {
    const tensor = readDouble(this);
    return new Quantized4Bit(call((engine) => engine.singleQuantized(tensor)) as Quantized4BitFields);
  }

  /** The number of stored bytes: codes, codes of absmax, nested absmax, offset. */
  get memoryBytes(): number {
    return this.#sizes().memoryBytes;
  }

  /**
   * The size of a `Float32Array` divided by this size.
   *
   * @throws {@link QuantpressError} `NO_DATA` for an empty tensor.
   */
  get compressionRatio(): number {
    return expectRatio(this.#sizes());
  }

  /** The number of bytes that the second level saves; negative for a tensor of one or two blocks. */
  get doubleQuantSavings(): number {
    return this.#sizes().savings;
  }

  /** As bytes, for {@link DoubleQuantized4Bit.fromBytes}. */
  toBytes(): Uint8Array<ArrayBuffer> {
    const tensor = readDouble(this);
    return call((engine) => engine.doubleQuantized4bitToBytes(tensor)) as Uint8Array<ArrayBuffer>;
  }

  /**
   * Reads what {@link DoubleQuantized4Bit.toBytes} wrote.
   *
   * @throws {@link QuantpressError} `TRUNCATED`, `MAGIC`, `MALFORMED`, `LENGTH` ... for invalid or incomplete bytes.
   */
  static fromBytes(bytes: Uint8Array): DoubleQuantized4Bit {
    expectBytes('bytes', bytes);
    return new DoubleQuantized4Bit(
      call((engine) => engine.doubleQuantized4bitFromBytes(bytes)) as DoubleQuantized4BitFields,
    );
  }

  /** The tensors bitsandbytes reads this weight from; see {@link Quantized4Bit.toStateDict}. */
  toStateDict(name: string, shape: readonly number[], dtype: StateDtype = 'float32'): StateTensor[] {
    return toStateDict(this, name, shape, dtype);
  }

  #sizes(): Sizes {
    const tensor = readDouble(this);
    return call((engine) => engine.size4bitDouble(tensor)) as Sizes;
  }
}

/**
 * Quantizes to 4 bits per weight, byte for byte as bitsandbytes' `quantize_4bit` does on a CPU.
 *
 * A tensor is cut into blocks without regard to its shape; each is divided by its largest magnitude, and each weight
 * becomes the nearest of sixteen values.
 *
 * @param weights - All of them finite.
 * @throws {@link QuantpressError} `NON_FINITE` with the index of the first NaN or infinity, `RANGE` for an invalid
 * block size, `UNKNOWN_NAME`.
 * @example
 * ```ts
 * const tensor = quantize4bit(weights);
 * tensor.memoryBytes; // 4.5 bits per weight
 * const back = dequantize4bit(tensor);
 * ```
 */
export function quantize4bit(weights: Float32Array, options: Quantize4BitOptions = {}): Quantized4Bit {
  expectFloats('weights', weights);
  const { dataType = 'nf4', blockSize = BLOCK_SIZE } = readOptions('quantize4bit', OPTIONS, options);
  return new Quantized4Bit(call((engine) => engine.quantize4bit(weights, dataType, blockSize)) as Quantized4BitFields);
}

/**
 * {@link quantize4bit} into the caller's memory: `ceil(n / 2)` bytes of codes and one absmax per block.
 *
 * @throws {@link QuantpressError} as {@link quantize4bit}, and `LENGTH` for outputs of other lengths.
 */
export function quantize4bitInto(
  weights: Float32Array,
  codes: Uint8Array,
  absmax: Float32Array,
  options: Quantize4BitOptions = {},
): void {
  expectFloats('weights', weights);
  expectBytes('codes', codes);
  expectFloats('absmax', absmax);
  const { dataType = 'nf4', blockSize = BLOCK_SIZE } = readOptions('quantize4bitInto', OPTIONS, options);
  call((engine) => engine.quantize4bitInto(weights, dataType, blockSize, codes, absmax));
}

/**
 * Decodes a 4-bit tensor, bit-identical to bitsandbytes' `dequantize_4bit`.
 *
 * @throws {@link QuantpressError} `LENGTH`, `RANGE`, `NON_FINITE` for inconsistent fields.
 */
export function dequantize4bit(tensor: Quantized4BitFields): Float32Array<ArrayBuffer> {
  const fields = readSingle(tensor);
  return call((engine) => engine.dequantize4bit(fields)) as Float32Array<ArrayBuffer>;
}

/** {@link dequantize4bit} into the caller's memory, `tensor.length` values. */
export function dequantize4bitInto(tensor: Quantized4BitFields, out: Float32Array): void {
  expectFloats('out', out);
  const fields = readSingle(tensor);
  call((engine) => engine.dequantize4bitInto(fields, out));
}

/**
 * Quantizes to 4 bits, and the absmax to 8, as bitsandbytes with `compress_statistics=True`: their mean subtracted, the
 * dynamic 8-bit map, second-level blocks of 256.
 *
 * @throws {@link QuantpressError} as {@link quantize4bit}.
 */
export function quantize4bitDouble(
  weights: Float32Array,
  options: Quantize4BitDoubleOptions = {},
): DoubleQuantized4Bit {
  return quantizeDouble('quantize4bitDouble', weights, options);
}

function quantizeDouble(owner: string, weights: Float32Array, options: Quantize4BitDoubleOptions): DoubleQuantized4Bit {
  expectFloats('weights', weights);
  const { dataType = 'nf4', blockSize = BLOCK_SIZE, offset } = readOptions(owner, DOUBLE_OPTIONS, options);
  return new DoubleQuantized4Bit(
    call((engine) => engine.quantize4bitDouble(weights, dataType, blockSize, offset)) as DoubleQuantized4BitFields,
  );
}

/**
 * {@link quantize4bitDouble} into the caller's memory: codes, one code per block, one nested absmax per 256
 * blocks.
 *
 * @returns The offset.
 * @throws {@link QuantpressError} as {@link quantize4bit}, and `LENGTH` for outputs of other lengths.
 */
export function quantize4bitDoubleInto(
  weights: Float32Array,
  codes: Uint8Array,
  absmaxCodes: Uint8Array,
  nestedAbsmax: Float32Array,
  options: Quantize4BitDoubleOptions = {},
): number {
  expectBytes('codes', codes);
  expectBytes('absmaxCodes', absmaxCodes);
  expectFloats('nestedAbsmax', nestedAbsmax);
  const tensor = quantizeDouble('quantize4bitDoubleInto', weights, options);
  const outputs = [
    ['codes', codes, tensor.codes],
    ['absmaxCodes', absmaxCodes, tensor.absmaxCodes],
    ['nestedAbsmax', nestedAbsmax, tensor.nestedAbsmax],
  ] as const;
  // All outputs are checked before any is written.
  for (const [name, out, made] of outputs) expectLength(name, out.length, made.length);
  for (const [, out, made] of outputs) out.set(made);
  return tensor.offset;
}

/** Decodes a double-quantized tensor. */
export function dequantize4bitDouble(tensor: DoubleQuantized4BitFields): Float32Array<ArrayBuffer> {
  const fields = readDouble(tensor);
  return call((engine) => engine.dequantize4bitDouble(fields)) as Float32Array<ArrayBuffer>;
}

/** {@link dequantize4bitDouble} into the caller's memory, `tensor.length` values. */
export function dequantize4bitDoubleInto(tensor: DoubleQuantized4BitFields, out: Float32Array): void {
  expectFloats('out', out);
  const fields = readDouble(tensor);
  call((engine) => engine.dequantize4bitDoubleInto(fields, out));
}

/**
 * Reads the 4-bit weight `name` from the tensors of a file that bitsandbytes wrote; other tensors are ignored.
 *
 * @throws {@link QuantpressError} `ARGUMENT` if a part is missing, `MALFORMED`, `UNSUPPORTED` for a code table that is
 * not bitsandbytes' own, `LENGTH` for parts that do not match.
 */
export function fromStateDict(tensors: readonly AnyStateTensor[], name: string): LoadedState {
  expectArray('tensors', tensors);
  expectText('name', name);
  // Other tensors of the file may have any type.
  const given = tensors.map((tensor, index) => readFields(STATE, `tensors[${index}]`, tensor));
  const { tensor, ...rest } = call((engine) => engine.fromStateDict(given, name)) as {
    tensor: Quantized4BitFields | DoubleQuantized4BitFields;
    shape: number[];
    dtype: StateDtype;
  };
  return { tensor: 'offset' in tensor ? new DoubleQuantized4Bit(tensor) : new Quantized4Bit(tensor), ...rest };
}

/** Returns the values of the sixteen codes of a type in a block whose largest magnitude is 1. */
export function table4bit(dataType: DataType4Bit): Float32Array<ArrayBuffer> {
  const type = dataTypeReader('dataType', dataType);
  return call((engine) => engine.table4bit(type)) as Float32Array<ArrayBuffer>;
}

function toStateDict(
  tensor: Quantized4Bit | DoubleQuantized4Bit,
  name: string,
  shape: readonly number[],
  dtype: StateDtype,
): StateTensor[] {
  expectText('name', name);
  expectText('dtype', dtype);
  expectShape(shape);
  const fields = 'absmaxCodes' in tensor ? readDouble(tensor) : readSingle(tensor);
  return call((engine) => engine.toStateDict(fields, name, shape, dtype)) as StateTensor[];
}

function expectRatio({ compressionRatio }: Sizes): number {
  if (compressionRatio !== undefined) return compressionRatio;
  throw new QuantpressError('NO_DATA', 'an empty tensor has no compression ratio');
}
