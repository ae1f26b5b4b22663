/** Q4_0 and Q8_0 tensors: `src/block_tensor.rs` for JavaScript. Every other format is in format.ts. */

import { expectBytes, expectCount, expectFloats } from '../engine/check.js';
import { QuantpressError } from '../engine/error.js';
import { call } from '../engine/wasm.js';

/** Weights per block of both formats. */
export const GGUF_BLOCK_SIZE = 32;

/** The two formats: bytes per block, and bits per code without the scale. */
export const GGUFQuantType = {
  Q4_0: { name: 'Q4_0', bytesPerBlock: 18, bits: 4 },
  Q8_0: { name: 'Q8_0', bytesPerBlock: 34, bits: 8 },
} as const;

/** One of the two formats. */
export type GGUFQuantType = (typeof GGUFQuantType)[keyof typeof GGUFQuantType];

/** A tensor as blocks of one format, and its number of weights. */
abstract class BlockTensor {
  readonly #type: GGUFQuantType;
  readonly #bytes: Uint8Array<ArrayBuffer>;
  /** The number of weights. */
  readonly length: number;

  /** Creates a tensor from bytes that are known to be whole blocks. */
  protected constructor(type: GGUFQuantType, bytes: Uint8Array<ArrayBuffer>, length: number) {
    this.#type = type;
    this.#bytes = bytes;
    this.length = length;
  }

  /** The weights. */
  dequantize(): Float32Array<ArrayBuffer> {
    const { length } = this;
    return call((engine) => engine.blocksDequantize(this.#bytes, length, this.#type.name)) as Float32Array<ArrayBuffer>;
  }

  /**
   * Decodes the weights into the caller's memory.
   *
   * @throws {@link QuantpressError} `LENGTH` if `out` is not as long as the tensor.
   */
  dequantizeInto(out: Float32Array): void {
    expectFloats('out', out);
    call((engine) => engine.blocksDequantizeInto(this.#bytes, this.length, this.#type.name, out));
  }

  /** The number of bytes in memory, as in a file. */
  get memoryBytes(): number {
    return this.#bytes.length;
  }

  /** Bytes in a GGUF file. */
  get ggufBytes(): number {
    return this.#bytes.length;
  }

  /** The number of blocks. */
  get numBlocks(): number {
    return this.#bytes.length / this.#type.bytesPerBlock;
  }

  /**
   * The size of a `Float32Array` divided by this size.
   *
   * @throws {@link QuantpressError} `NO_DATA` for an empty tensor.
   */
  get compressionRatio(): number {
    if (this.length === 0) throw new QuantpressError('NO_DATA', 'an empty tensor has no compression ratio');
    return (4 * this.length) / this.#bytes.length;
  }

  /** The blocks in ggml's layout. */
  toBytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice();
  }
}

/** Quantizes to blocks of `name`; the last one is padded with zeros. */
function encode(values: Float32Array, type: GGUFQuantType): Uint8Array<ArrayBuffer> {
  expectFloats('values', values);
  return call((engine) => engine.blocksQuantize(values, type.name)) as Uint8Array<ArrayBuffer>;
}

/** Copies blocks after checking that they are whole and valid. */
function checked(bytes: Uint8Array, length: number, type: GGUFQuantType): Uint8Array<ArrayBuffer> {
  expectBytes('bytes', bytes);
  expectCount('length', length);
  call((engine) => engine.blocksDequantize(bytes, length, type.name));
  return new Uint8Array(bytes);
}

/**
 * A tensor in Q4_0: `w = d (q - 8)`, 18 bytes per 32 weights.
 *
 * @example
 * ```ts
 * const tensor = Q4_0.quantize(weights);
 * const bytes = tensor.toBytes(); // ggml's own
 * ```
 */
export class Q4_0 extends BlockTensor {
  /**
   * Quantizes; the last block is padded with zeros.
   *
   * @throws {@link QuantpressError} `NON_FINITE` with the index of the first NaN or infinity, `UNREPRESENTABLE`.
   */
  static quantize(values: Float32Array): Q4_0 {
    return new Q4_0(GGUFQuantType.Q4_0, encode(values, GGUFQuantType.Q4_0), values.length);
  }

  /**
   * Creates a tensor of `length` weights from blocks in ggml's layout.
   *
   * @throws {@link QuantpressError} `LENGTH` if the bytes are not exactly these blocks, `INVALID_BLOCK`.
   */
  static fromBytes(bytes: Uint8Array, length: number): Q4_0 {
    return new Q4_0(GGUFQuantType.Q4_0, checked(bytes, length, GGUFQuantType.Q4_0), length);
  }
}

/** A tensor in Q8_0: `w = d q`, 34 bytes per 32 weights. */
export class Q8_0 extends BlockTensor {
  /** Quantizes; see {@link Q4_0.quantize}. */
  static quantize(values: Float32Array): Q8_0 {
    return new Q8_0(GGUFQuantType.Q8_0, encode(values, GGUFQuantType.Q8_0), values.length);
  }

  /** Creates a tensor of `length` weights from blocks in ggml's layout; see {@link Q4_0.fromBytes}. */
  static fromBytes(bytes: Uint8Array, length: number): Q8_0 {
    return new Q8_0(GGUFQuantType.Q8_0, checked(bytes, length, GGUFQuantType.Q8_0), length);
  }
}
