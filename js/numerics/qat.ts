/**
 * Quantization-aware training: `src/qat/` for JavaScript. Every operation has a forward and a backward pass over
 * arrays.
 */

import { type QuantGranularity, type QuantMode, QuantParams, type QuantParamsFields } from './affine.js';
import { checkParams, modeReader, readGranularity } from './affine-options.js';
import {
  expectBits,
  expectBytes,
  expectFlag,
  expectFloats,
  expectIntegers,
  expectLength,
  expectObject,
  expectShape,
} from '../engine/check.js';
import { dispose, release } from '../engine/dispose.js';
import { QuantpressError } from '../engine/error.js';
import { readOptions } from '../engine/options.js';
import {
  FAKE_QUANTIZE_OPTIONS,
  FakeQuantConfig,
  readConfig,
  readGradients,
  readLearned,
  type FakeQuantizeOptions,
} from './qat-config.js';
import { call, type Engine } from '../engine/wasm.js';

export { FakeQuantConfig, type FakeQuantizeOptions, type RangeRule } from './qat-config.js';

/**
 * Quantizes and dequantizes in one step, with an observed range.
 *
 * ```text
 * forward    y  = s (clamp(roundHalfEven(x (1 / s)) + z, qmin, qmax) - z)
 * backward   dx = dy                                            straight through
 * clamped    dx = dy where roundHalfEven(x (1 / s)) + z is one of the codes, else 0
 * ```
 *
 * `forward` and `backwardClamped` equal PyTorch's `fake_quantize_per_tensor_affine` and `_per_channel_affine` to the
 * bit. Without a shape the values have one axis.
 *
 * @example
 * ```ts
 * const fake = new FakeQuantize(FakeQuantConfig.symmetric(4));
 * const y = fake.forwardWithCalibration(x);
 * const dx = fake.backwardClamped(dy, x);
 * ```
 */
export class FakeQuantize {
  #state: InstanceType<Engine['FakeQuantizeState']>;
  /** The codes to train for. */
  readonly config: Readonly<FakeQuantConfig>;
  /** Which values share a scale. */
  readonly granularity: QuantGranularity;
  #observing = true;
  #quantizing = true;

  /** @throws {@link QuantpressError} `RANGE`, `ARGUMENT` for an invalid configuration. */
  constructor(config: FakeQuantConfig, options: FakeQuantizeOptions = {}) {
    const given = readOptions('FakeQuantize', FAKE_QUANTIZE_OPTIONS, options);
    const { granularity = { kind: 'perTensor' }, observer = { kind: 'movingAverage', momentum: 0.01 } } = given;
    const momentum = observer.kind === 'movingAverage' ? observer.momentum : undefined;
    this.config = readConfig(config);
    this.granularity = granularity;
    this.#state = call((engine) => new engine.FakeQuantizeState(this.config, granularity, momentum));
  }

  /** 4 bits, symmetric, per tensor. */
  static q4(): FakeQuantize {
    return new FakeQuantize(FakeQuantConfig.q4Symmetric());
  }

  /** 8 bits, symmetric, per tensor. */
  static q8(): FakeQuantize {
    return new FakeQuantize(FakeQuantConfig.q8Symmetric());
  }

  /**
   * Reads a fake quantization that {@link FakeQuantize.toBytes} wrote, with its ranges, parameters and switches.
   *
   * @throws {@link QuantpressError} `MAGIC`, `MALFORMED`, `TRUNCATED` or `UNSUPPORTED` for any other bytes, `RANGE`, `ARGUMENT`
   * or `LENGTH` for inconsistent contents.
   */
  static fromBytes(bytes: Uint8Array): FakeQuantize {
    expectBytes('bytes', bytes);
    const state = call((engine) => engine.FakeQuantizeState.fromBytes(bytes));
    const { config, granularity, observing, quantizing } = call(() => state.settings()) as Settings;
    const fake = new FakeQuantize(config, { granularity });
    fake.#state.free();
    fake.#state = state;
    fake.#observing = observing;
    fake.#quantizing = quantizing;
    return fake;
  }

  /**
   * Clears the observations and uses the range of `data` alone.
   *
   * @throws {@link QuantpressError} as {@link FakeQuantize.observe}.
   */
  calibrate(data: Float32Array, shape: readonly number[] = [data?.length]): void {
    expectFloats('data', data);
    expectShape(shape);
    call(() => this.#state.calibrate(data, shape));
  }

  /**
   * Observes a batch's range, whatever the switches.
   *
   * @throws {@link QuantpressError} `LENGTH`, `NO_DATA`, `NON_FINITE` with the index of the first NaN or infinity; on
   * an error nothing changes.
   */
  observe(data: Float32Array, shape: readonly number[] = [data?.length]): void {
    expectFloats('data', data);
    expectShape(shape);
    call(() => this.#state.observe(data, shape));
  }

  /** Sets the scales and zero points, one of each per channel. */
  setParameters(scales: Float32Array, zeroPoints: Int32Array): void {
    expectFloats('scales', scales);
    expectIntegers('zeroPoints', zeroPoints);
    call(() => this.#state.setParameters(scales, zeroPoints));
  }

  /**
   * Returns the values that a quantized network would see, or the input itself while quantizing is switched off.
   *
   * @throws {@link QuantpressError} `NO_DATA` before anything was observed, `LENGTH`, `NON_FINITE`.
   */
  forward(input: Float32Array, shape: readonly number[] = [input?.length]): Float32Array<ArrayBuffer> {
    expectFloats('input', input);
    const out = new Float32Array(input.length);
    this.forwardInto(input, out, shape);
    return out;
  }

  /** {@link FakeQuantize.forward} into the caller's memory, `input.length` values; it may be `input` itself. */
  forwardInto(input: Float32Array, out: Float32Array, shape: readonly number[] = [input?.length]): void {
    expectFloats('input', input);
    expectShape(shape);
    expectFloats('out', out);
    call(() => this.#state.forwardInto(input, shape, out));
  }

  /** A training step: observes if observing is on, then {@link FakeQuantize.forward}. */
  forwardWithCalibration(input: Float32Array, shape: readonly number[] = [input?.length]): Float32Array<ArrayBuffer> {
    expectFloats('input', input);
    const out = new Float32Array(input.length);
    this.forwardWithCalibrationInto(input, out, shape);
    return out;
  }

  /**
   * {@link FakeQuantize.forwardWithCalibration} into the caller's memory, `input.length` values; it may be `input`
   * itself.
   *
   * @throws {@link QuantpressError} `LENGTH` if `out` has another length; then nothing was observed.
   */
  forwardWithCalibrationInto(input: Float32Array, out: Float32Array, shape: readonly number[] = [input?.length]): void {
    expectFloats('input', input);
    expectShape(shape);
    expectFloats('out', out);
    call(() => this.#state.forwardWithCalibrationInto(input, shape, out));
  }

  /** The straight-through estimator: the gradient unchanged. */
  backward(gradient: Float32Array): Float32Array<ArrayBuffer> {
    return steBackward(gradient);
  }

  /** {@link FakeQuantize.backward} into the caller's memory, `gradient.length` values. */
  backwardInto(gradient: Float32Array, out: Float32Array): void {
    steBackwardInto(gradient, out);
  }

  /** The gradient for inputs whose code, including the zero point, is in range, and 0 for clamped ones. */
  backwardClamped(
    gradient: Float32Array,
    input: Float32Array,
    shape: readonly number[] = [input?.length],
  ): Float32Array<ArrayBuffer> {
    expectFloats('input', input);
    const out = new Float32Array(input.length);
    this.backwardClampedInto(gradient, input, out, shape);
    return out;
  }

  /**
   * {@link FakeQuantize.backwardClamped} into the caller's memory, `input.length` values; it may be `gradient` or
   * `input` itself.
   */
  backwardClampedInto(
    gradient: Float32Array,
    input: Float32Array,
    out: Float32Array,
    shape: readonly number[] = [input?.length],
  ): void {
    expectFloats('gradient', gradient);
    expectFloats('input', input);
    expectShape(shape);
    expectFloats('out', out);
    call(() => this.#state.backwardClampedInto(gradient, input, shape, out));
  }

  /** The integer parameters that give bit-identical values. */
  toParams(): QuantParams {
    return new QuantParams(call(() => this.#state.toParams()) as QuantParamsFields);
  }

  /** The scale (of the first channel); 1 before anything was observed. */
  get scale(): number {
    return call(() => this.#state.scale);
  }

  /** The zero point (of the first channel); 0 before anything was observed. */
  get zeroPoint(): number {
    return call(() => this.#state.zeroPoint);
  }

  /** The scale of every channel. */
  get scales(): Float32Array<ArrayBuffer> {
    return call(() => this.#state.scales) as Float32Array<ArrayBuffer>;
  }

  /** The zero point of every channel. */
  get zeroPoints(): Int32Array<ArrayBuffer> {
    return call(() => this.#state.zeroPoints) as Int32Array<ArrayBuffer>;
  }

  /** Whether there is a scale. */
  get isInitialized(): boolean {
    return call(() => this.#state.isInitialized);
  }

  /** The number of codes. */
  get numLevels(): number {
    return call(() => this.#state.numLevels);
  }

  /** Whether it observes: off for the last training steps, so that scales do not change. */
  get observerEnabled(): boolean {
    return this.#observing;
  }

  set observerEnabled(on: boolean) {
    expectFlag('observerEnabled', on);
    call(() => this.#state.enableObserver(on));
    this.#observing = on;
  }

  /** Whether it quantizes: off for the first training steps, so that ranges settle. */
  get fakeQuantEnabled(): boolean {
    return this.#quantizing;
  }

  set fakeQuantEnabled(on: boolean) {
    expectFlag('fakeQuantEnabled', on);
    call(() => this.#state.enableFakeQuant(on));
    this.#quantizing = on;
  }

  /** Serializes everything for {@link FakeQuantize.fromBytes}: resumed training gives identical results. */
  toBytes(): Uint8Array<ArrayBuffer> {
    return call(() => this.#state.toBytes()) as Uint8Array<ArrayBuffer>;
  }

  /** Frees its memory at once; otherwise that happens on garbage collection. A second call does nothing. */
  free(): void {
    release(this.#state);
  }

  /** {@link free}, for `using`. */
  [dispose](): void {
    this.free();
  }
}

interface Settings {
  config: FakeQuantConfig;
  granularity: QuantGranularity;
  observing: boolean;
  quantizing: boolean;
}

/**
 * Fake quantization with the range of the values themselves: narrow symmetric codes, or asymmetric unsigned ones.
 *
 * @throws {@link QuantpressError} `RANGE` unless `bits` is 2 to 8, `NO_DATA`, `NON_FINITE`.
 */
export function fakeQuantize(
  values: Float32Array,
  bits: number,
  mode: QuantMode = 'symmetric',
): Float32Array<ArrayBuffer> {
  expectFloats('values', values);
  const out = new Float32Array(values.length);
  fakeQuantizeInto(values, bits, mode, out);
  return out;
}

/** {@link fakeQuantize} into the caller's memory, `values.length` values; it may be `values` itself. */
export function fakeQuantizeInto(values: Float32Array, bits: number, mode: QuantMode, out: Float32Array): void {
  expectFloats('values', values);
  expectBits(bits);
  modeReader('mode', mode);
  expectFloats('out', out);
  call((engine) => engine.fakeQuantizeInto(values, bits, mode, out));
}

/**
 * The straight-through estimator: rounding has no useful derivative, so the gradient passes unchanged. Returns a copy
 * of it.
 */
export function steBackward(gradient: Float32Array): Float32Array<ArrayBuffer> {
  expectFloats('gradient', gradient);
  return new Float32Array(gradient);
}

/** {@link steBackward} into the caller's memory, `gradient.length` values. */
export function steBackwardInto(gradient: Float32Array, out: Float32Array): void {
  expectFloats('gradient', gradient);
  expectFloats('out', out);
  expectLength('out', out.length, gradient.length);
  out.set(gradient);
}

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
