/** Fake quantization with trained steps, LSQ and LSQ+: `src/qat/learned.rs` for JavaScript. */

import { type QuantGranularity, QuantParams, type QuantParamsFields } from './affine.js';
import { checkParams, readGranularity } from './affine-options.js';
import { expectBytes, expectFloats, expectObject, expectShape } from '../engine/check.js';
import { QuantpressError } from '../engine/error.js';
import { type FakeQuantConfig, readConfig, readGradients, readLearned } from './qat-config.js';
import { call } from '../engine/wasm.js';

/** What {@link LearnedFakeQuantize.backward} returns, and {@link LearnedFakeQuantize.backwardInto} writes to. */
export interface LearnedGradients {
  /** The gradient of every input value. */
  input: Float32Array<ArrayBuffer>;
  /** The gradient of every step. */
  scales: Float64Array<ArrayBuffer>;
  /** The gradient of every zero point. */
  zeroPoints: Float64Array<ArrayBuffer>;
}

/**
 * LSQ and LSQ+: fake quantization whose steps, and zero points, are trained like weights. With `v = x / s` and
 * `q = round(v) + z`:
 *
 * ```text
 * dy/dx = 1 where q is one of the codes, else 0
 * dy/ds = round(v) - v  inside;   qmin - z  below;   qmax - z  above
 * dy/dz = 0             inside;   -s        outside
 * ```
 *
 * and each sum over the `n` values that share a step is multiplied by `1 / sqrt(n qmax)`. Sources: arXiv 1902.08153,
 * arXiv 2004.09576.
 */
export class LearnedFakeQuantize {
  /** The codes to train for. */
  readonly config: Readonly<FakeQuantConfig>;
  /** Which values share a step. */
  readonly granularity: QuantGranularity;
  /** The steps, to be trained in place. */
  readonly scales: Float32Array<ArrayBuffer>;
  /** The zero points, to be trained in place; they stay 0 in plain LSQ. */
  readonly zeroPoints: Float32Array<ArrayBuffer>;

  private constructor(config: FakeQuantConfig, granularity: QuantGranularity, steps: Steps) {
    expectObject('steps', steps);
    expectFloats('scales', steps.scales);
    expectFloats('zeroPoints', steps.zeroPoints);
    this.config = config;
    this.granularity = granularity;
    this.scales = steps.scales;
    this.zeroPoints = steps.zeroPoints;
  }

  /**
   * Computes steps from the values: `2 mean|x| / sqrt(qmax)` for symmetric codes, from the range for others.
   *
   * @throws {@link QuantpressError} `LENGTH`, `NO_DATA`, `NON_FINITE`, `RANGE`.
   */
  static fromValues(
    config: FakeQuantConfig,
    values: Float32Array,
    shape: readonly number[] = [values?.length],
    granularity: QuantGranularity = { kind: 'perTensor' },
  ): LearnedFakeQuantize {
    expectFloats('values', values);
    expectShape(shape);
    const given = readConfig(config);
    const shared = readGranularity('granularity', granularity, shape);
    const steps = call((engine) => engine.learnedSteps(given, shared, values, shape)) as Steps;
    return new LearnedFakeQuantize(given, shared, steps);
  }

  /**
   * Creates it with copies of given steps and zero points, one of each per channel, without `init`.
   *
   * @throws {@link QuantpressError} `RANGE`, `LENGTH`, and `NON_FINITE` for a zero point that is NaN or infinite.
   */
  static withParameters(
    config: FakeQuantConfig,
    scales: Float32Array,
    zeroPoints: Float32Array,
    granularity: QuantGranularity = { kind: 'perTensor' },
  ): LearnedFakeQuantize {
    expectFloats('scales', scales);
    expectFloats('zeroPoints', zeroPoints);
    const steps = { scales: new Float32Array(scales), zeroPoints: new Float32Array(zeroPoints) };
    const shared = readGranularity('granularity', granularity);
    const given = readConfig(config);
    checkParams({ ...given, granularity: shared, scales: steps.scales, zeroPoints: rounded(steps.zeroPoints, given) });
    return new LearnedFakeQuantize(given, shared, steps);
  }

  /**
   * Reads a fake quantization that {@link LearnedFakeQuantize.toBytes} wrote.
   *
   * @throws {@link QuantpressError} `MAGIC`, `MALFORMED`, `TRUNCATED` or `UNSUPPORTED` for any other bytes, `RANGE` or
   * `ARGUMENT` for an invalid configuration.
   */
  static fromBytes(bytes: Uint8Array): LearnedFakeQuantize {
    expectBytes('bytes', bytes);
    const learned = call((engine) => engine.learnedFromBytes(bytes)) as LearnedFakeQuantize;
    return new LearnedFakeQuantize(learned.config, learned.granularity, learned);
  }

  /**
   * Serializes everything for {@link LearnedFakeQuantize.fromBytes}: resumed training gives identical results. The
   * caller saves the state of the optimizer.
   */
  toBytes(): Uint8Array<ArrayBuffer> {
    return call((engine) => engine.learnedToBytes(readLearned(this))) as Uint8Array<ArrayBuffer>;
  }

  /** Returns the values that a quantized network would see. */
  forward(input: Float32Array, shape: readonly number[] = [input?.length]): Float32Array<ArrayBuffer> {
    expectFloats('input', input);
    const out = new Float32Array(input.length);
    this.forwardInto(input, out, shape);
    return out;
  }

  /**
   * {@link LearnedFakeQuantize.forward} into the caller's memory, `input.length` values; it may be `input` itself.
   *
   * @throws {@link QuantpressError} `LENGTH` if `out` has another length. After an error `out` is unchanged.
   */
  forwardInto(input: Float32Array, out: Float32Array, shape: readonly number[] = [input?.length]): void {
    expectFloats('input', input);
    expectShape(shape);
    expectFloats('out', out);
    call((engine) => engine.learnedForwardInto(readLearned(this), input, shape, out));
  }

  /** The gradients of input, steps and zero points. */
  backward(gradient: Float32Array, input: Float32Array, shape: readonly number[] = [input?.length]): LearnedGradients {
    expectFloats('input', input);
    const { length } = this.scales;
    const gradients: LearnedGradients = {
      input: new Float32Array(input.length),
      scales: new Float64Array(length),
      zeroPoints: new Float64Array(length),
    };
    this.backwardInto(gradient, input, gradients, shape);
    return gradients;
  }

  /**
   * {@link LearnedFakeQuantize.backward} into the caller's memory, which is overwritten: `out.input` of `input.length`
   * values, `out.scales` and `out.zeroPoints` of as many as there are steps. `out.input` may be `gradient` or `input` itself.
   *
   * @throws {@link QuantpressError} `LENGTH` for other lengths. After an error `out` is unchanged.
   */
  backwardInto(
    gradient: Float32Array,
    input: Float32Array,
    out: LearnedGradients,
    shape: readonly number[] = [input?.length],
  ): void {
    expectFloats('gradient', gradient);
    expectFloats('input', input);
    expectShape(shape);
    const given = readGradients(out);
    call((engine) => engine.learnedBackwardInto(readLearned(this), gradient, input, shape, given));
  }

  /**
   * Keeps every step positive and every zero point within the codes after an optimizer step. A step that is zero or
   * negative becomes 1.19e-7 (2^-23), to which PyTorch's `_LearnableFakeQuantize` clamps.
   *
   * @throws {@link QuantpressError} `RANGE` for a step that is NaN or infinite, `NON_FINITE` for such a zero point:
   * training has diverged. On an error nothing changes.
   */
  clampParameters(): void {
    const { config, scales, zeroPoints } = readLearned(this);
    const steps = call((engine) => engine.learnedClamp(config, scales, zeroPoints)) as Steps;
    this.scales.set(steps.scales);
    this.zeroPoints.set(steps.zeroPoints);
  }

  /** The integer parameters that give bit-identical values. */
  toParams(): QuantParams {
    return new QuantParams(call((engine) => engine.learnedParams(readLearned(this))) as QuantParamsFields);
  }
}

/** Zero points as integers among the codes, for a check of the parameters. */
function rounded(zeroPoints: Float32Array, { range: { qmin, qmax } }: FakeQuantConfig): Int32Array {
  const index = zeroPoints.findIndex((zeroPoint) => !Number.isFinite(zeroPoint));
  if (index >= 0) {
    const message = `zero point ${index} is ${zeroPoints[index]}, and must be a finite number`;
    throw new QuantpressError('NON_FINITE', message, { index });
  }
  return Int32Array.from(zeroPoints, (zeroPoint) => Math.min(Math.max(Math.round(zeroPoint), qmin), qmax));
}

interface Steps {
  scales: Float32Array<ArrayBuffer>;
  zeroPoints: Float32Array<ArrayBuffer>;
}
