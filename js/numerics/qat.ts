/**
 * Quantization-aware training: `src/qat/` for JavaScript. Every operation has a forward and a backward pass over
 * arrays.
 */

import { type QuantGranularity, type QuantMode, QuantParams, type QuantParamsFields } from './affine.js';
import { modeReader } from './affine-options.js';
import {
  expectBits,
  expectBytes,
  expectFlag,
  expectFloats,
  expectIntegers,
  expectLength,
  expectShape,
} from '../engine/check.js';
import { dispose, release } from '../engine/dispose.js';
import { readOptions } from '../engine/options.js';
import { FAKE_QUANTIZE_OPTIONS, FakeQuantConfig, readConfig, type FakeQuantizeOptions } from './qat-config.js';
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
