/** PACT, a trained clipping level: `src/qat/learned.rs` for JavaScript. */

import { expectBits, expectBytes, expectFloats, expectNumber } from '../engine/check.js';
import { call } from '../engine/wasm.js';

/**
 * PACT: a trained clipping level for activations, with unsigned codes below it.
 *
 * ```text
 * y  = roundHalfEven(clip(x, 0, a) (n / a)) (a / n),   n = 2^bits - 1
 * dx = dy where 0 <= x < a, else 0
 * da = sum of dy where x >= a, plus 2 decay a
 * ```
 *
 * Source: arXiv 1805.06085.
 */
export class Pact {
  /** The clipping level, to be trained. */
  alpha: number;
  /** Bits of the codes. */
  readonly bits: number;
  /** The weight of `alpha^2` in the loss. */
  readonly decay: number;

  /** @throws {@link QuantpressError} `RANGE` for bits other than 2 to 8, a level that is not positive, a negative decay. */
  constructor(alpha: number, bits: number, decay = 0) {
    expectNumber('alpha', alpha, true);
    expectBits(bits);
    expectNumber('decay', decay, true);
    this.alpha = alpha;
    this.bits = bits;
    this.decay = decay;
    this.backward(new Float32Array(0), new Float32Array(0));
  }

  /**
   * Reads a clipping level that {@link Pact.toBytes} wrote.
   *
   * @throws {@link QuantpressError} `MAGIC`, `MALFORMED`, `TRUNCATED` or `UNSUPPORTED` for any other bytes, `RANGE` as the
   * constructor.
   */
  static fromBytes(bytes: Uint8Array): Pact {
    expectBytes('bytes', bytes);
    const [alpha = 0, bits = 0, decay = 0] = call((engine) => engine.pactFromBytes(bytes));
    return new Pact(alpha, bits, decay);
  }

  /** Serializes everything for {@link Pact.fromBytes}. */
  toBytes(): Uint8Array<ArrayBuffer> {
    const { alpha, bits, decay } = this;
    return call((engine) => engine.pactToBytes(alpha, bits, decay)) as Uint8Array<ArrayBuffer>;
  }

  /** The clipped, quantized values. */
  forward(input: Float32Array): Float32Array<ArrayBuffer> {
    expectFloats('input', input);
    const { alpha, bits } = this.#level();
    return call((engine) => engine.pactForward(input, alpha, bits)) as Float32Array<ArrayBuffer>;
  }

  /** The gradient of every input value, and of the level. */
  backward(gradient: Float32Array, input: Float32Array): { input: Float32Array<ArrayBuffer>; alpha: number } {
    expectFloats('gradient', gradient);
    expectFloats('input', input);
    const level = new Float64Array(1);
    const { alpha, bits, decay } = this.#level();
    const result = call((engine) => engine.pactBackward(gradient, input, alpha, bits, decay, level));
    return { input: result as Float32Array<ArrayBuffer>, alpha: level[0] ?? 0 };
  }

  /** The caller trains the level. */
  #level(): { alpha: number; bits: number; decay: number } {
    const { alpha, bits, decay } = this;
    expectNumber('alpha', alpha, true);
    return { alpha, bits, decay };
  }
}
