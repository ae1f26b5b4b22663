/** The configuration of fake quantization: the codes to train for, and the observer. */

import type { QuantGranularity, QuantMode, QuantRange, QuantRangeName } from './affine.js';
import { bitsReader, modeReader, rangeOf, rangeReader, readGranularity } from './affine-options.js';
import { expectBits } from '../engine/check.js';
import {
  doubles,
  floats,
  number,
  readFields,
  readKind,
  type KindTable,
  type Reader,
  type ReaderTable,
} from '../engine/options.js';

/** The codes to train for: the same fields, with the same meaning, as in {@link QuantParams}. */
export interface FakeQuantConfig {
  /** Bits per code, 2 to 8. */
  bits: number;
  /** Whether the zero point is fixed in the middle of the codes. */
  mode: QuantMode;
  /** The codes that may be used. */
  range: QuantRange;
}

const CONFIG: ReaderTable<FakeQuantConfig> = { bits: bitsReader, mode: modeReader, range: rangeReader };

/** @internal A configuration in the form of the engine. */
export const readConfig = (config: unknown): FakeQuantConfig => readFields(CONFIG, 'config', config);

function configOf(bits: number, mode: QuantMode, range?: QuantRangeName): FakeQuantConfig {
  expectBits(bits);
  modeReader('mode', mode);
  return { bits, mode, range: rangeOf(bits, mode, range) };
}

/**
 * Common configurations, as plain objects; they do not need `init`. Each throws a {@link QuantpressError} `RANGE` unless
 * `bits` is 2 to 8.
 */
export const FakeQuantConfig = {
  /** Symmetric around 0 with a narrow range: -127 to 127 at 8 bits. */
  symmetric: (bits: number): FakeQuantConfig => configOf(bits, 'symmetric'),
  /** Asymmetric over unsigned codes: 0 to 255 at 8 bits. */
  asymmetric: (bits: number): FakeQuantConfig => configOf(bits, 'asymmetric'),
  /** All signed codes, -128 to 127 at 8 bits: PyTorch's `qint8`. */
  signed: (bits: number, mode: QuantMode = 'symmetric'): FakeQuantConfig => configOf(bits, mode, 'signed'),
  /** All unsigned codes, 0 to 255 at 8 bits: PyTorch's `quint8`. The zero point is 128 if symmetric. */
  unsigned: (bits: number, mode: QuantMode = 'asymmetric'): FakeQuantConfig => configOf(bits, mode, 'unsigned'),
  /** `symmetric(4)`. */
  q4Symmetric: (): FakeQuantConfig => configOf(4, 'symmetric'),
  /** `symmetric(8)`. */
  q8Symmetric: (): FakeQuantConfig => configOf(8, 'symmetric'),
};

/**
 * How the ranges of batches are combined: the extremes of all, or a moving average (PyTorch's `averaging_constant`).
 */
export type RangeRule = { kind: 'minMax' } | { kind: 'movingAverage'; momentum: number };

/** Options of {@link FakeQuantize}. */
export interface FakeQuantizeOptions {
  /** Which values share a scale; all of them by default. */
  granularity?: QuantGranularity | undefined;
  /** How it observes; a moving average with momentum 0.01 by default. */
  observer?: RangeRule | undefined;
}

const RULES: KindTable<RangeRule> = { minMax: {}, movingAverage: { momentum: number } };

const observerReader: Reader<RangeRule> = (name, value) => readKind(RULES, name, value);

/** @internal */
export const FAKE_QUANTIZE_OPTIONS: ReaderTable<FakeQuantizeOptions> = {
  granularity: (name, value) => readGranularity(name, value),
  observer: observerReader,
};

/** @internal The state of a `LearnedFakeQuantize` in the form of the engine. */
export interface LearnedFields {
  config: Readonly<FakeQuantConfig>;
  granularity: QuantGranularity;
  scales: Float32Array;
  zeroPoints: Float32Array;
}

const LEARNED: ReaderTable<LearnedFields> = {
  config: (name, value) => readFields(CONFIG, name, value),
  granularity: (name, value) => readGranularity(name, value),
  scales: floats,
  zeroPoints: floats,
};

const GRADIENTS: ReaderTable<{ input: Float32Array; scales: Float64Array; zeroPoints: Float64Array }> = {
  input: floats,
  scales: doubles,
  zeroPoints: doubles,
};

/** @internal Memory for gradients, in the form of the engine. */
export const readGradients = (out: unknown): object => readFields(GRADIENTS, 'out', out);

/** @internal Steps that the caller trains, in the form of the engine. */
export const readLearned = (learned: unknown): LearnedFields => readFields(LEARNED, 'learned', learned);
