/** PACT, a trained clipping level: `src/qat/learned.rs` for JavaScript. */

import { expectBits, expectBytes, expectFloats, expectNumber } from '../engine/check.js';
import { QuantpressError } from '../engine/error.js';
import { call } from '../engine/wasm.js';

/** What {@link Pact.backward} returns. */
export interface PactGradients {
  /** The gradient of every input value. */
  input: Float32Array<ArrayBuffer>;
  /** The gradient of the clipping level. */
  alpha: number;
}

/** The smallest normal number of single precision. */
const SMALLEST = 2 ** -126;

/** Rejects a level that single precision cannot divide by the number of codes; the engine does so again, where it is used. */
function expectLevel(alpha: number, bits: number): void {
  const levels = 2 ** bits - 1;
  const level = Math.fround(alpha);
  const [up, down] = [Math.fround(levels / level), Math.fround(level / levels)];
  if (level > 0 && Number.isFinite(up) && down >= SMALLEST) return;
  const message = `alpha is ${alpha}, and must be positive and large enough to be divided by ${levels}`;
  throw new QuantpressError('RANGE', message, { alpha });
}

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

  /**
   * It does not need `init`.
   *
   * @throws {@link QuantpressError} `RANGE` for bits other than 2 to 8, a level that is not positive, a negative decay.
   */
  constructor(alpha: number, bits: number, decay = 0) {
    expectNumber('alpha', alpha, true);
    expectBits(bits);
    expectNumber('decay', decay, true);
    if (decay < 0) {
      throw new QuantpressError('RANGE', `decay is ${decay}, and must be at least 0`, { decay });
    }
    expectLevel(alpha, bits);
    this.alpha = alpha;
    this.bits = bits;
    this.decay = decay;
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
    const out = new Float32Array(input.length);
    this.forwardInto(input, out);
    return out;
  }

  /**
   * {@link Pact.forward} into the caller's memory, `input.length` values; it may be `input` itself.
   *
   * @throws {@link QuantpressError} `LENGTH` if `out` has another length, `NON_FINITE`, `RANGE` if the level is no longer
   * positive. After an error `out` is unchanged.
   */
  forwardInto(input: Float32Array, out: Float32Array): void {
    expectFloats('input', input);
    expectFloats('out', out);
    const { alpha, bits } = this.#level();
    call((engine) => engine.pactForwardInto(input, alpha, bits, out));
  }

  /** The gradient of every input value, and of the level. */
  backward(gradient: Float32Array, input: Float32Array): PactGradients {
    expectFloats('input', input);
    const out = new Float32Array(input.length);
    const alpha = this.backwardInto(gradient, input, out);
    return { input: out, alpha };
  }

  /**
   * {@link Pact.backward} into the caller's memory, `input.length` values; it may be `gradient` or `input` itself.
   *
   * @returns The gradient of the level.
   * @throws {@link QuantpressError} `LENGTH` for other lengths, `NON_FINITE`. After an error `out` is unchanged.
   */
  backwardInto(gradient: Float32Array, input: Float32Array, out: Float32Array): number {
    expectFloats('gradient', gradient);
    expectFloats('input', input);
    expectFloats('out', out);
    const { alpha, bits, decay } = this.#level();
    return call((engine) => engine.pactBackwardInto(gradient, input, alpha, bits, decay, out));
  }

  /** The caller trains the level. */
  #level(): { alpha: number; bits: number; decay: number } {
    const { alpha, bits, decay } = this;
    expectNumber('alpha', alpha, true);
    return { alpha, bits, decay };
  }
}
