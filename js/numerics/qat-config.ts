/** The configuration of fake quantization: the codes to train for, and the observer. */

import type { QuantGranularity } from './affine.js';
import { bitsReader, codeReader, readGranularity } from './affine-options.js';
import { expectBits, expectFlag } from '../engine/check.js';
import {
  flag,
  floats,
  number,
  readFields,
  readKind,
  type KindTable,
  type Reader,
  type ReaderTable,
} from '../engine/options.js';
import { call } from '../engine/wasm.js';

/** The codes to train for. */
export interface FakeQuantConfig {
  /** Bits per code, 2 to 8. */
  bits: number;
  /** Whether the zero point is fixed in the middle of the codes. */
  symmetric: boolean;
  /** The smallest code. */
  qmin: number;
  /** The largest code. */
  qmax: number;
  /** Whether there are as many codes below zero as above. */
  narrowRange: boolean;
}

const CONFIG: ReaderTable<FakeQuantConfig> = {
  bits: bitsReader,
  symmetric: flag,
  qmin: codeReader,
  qmax: codeReader,
  narrowRange: flag,
};

/** @internal A configuration in the form of the engine. */
export const readConfig = (config: unknown): FakeQuantConfig => readFields(CONFIG, 'config', config);

type Convention = 'symmetric' | 'asymmetric' | 'signed' | 'unsigned';

function configOf(convention: Convention, bits: number, symmetric: boolean): FakeQuantConfig {
  expectBits(bits);
  expectFlag('symmetric', symmetric);
  return call((engine) => engine.fakeQuantConfig(convention, bits, symmetric)) as FakeQuantConfig;
}

/** Common configurations. Each throws a {@link QuantpressError} `RANGE` unless `bits` is 2 to 8. */
export const FakeQuantConfig = {
  /** Symmetric around 0 with a narrow range: -127 to 127 at 8 bits. */
  symmetric: (bits: number): FakeQuantConfig => configOf('symmetric', bits, true),
  /** Asymmetric over unsigned codes: 0 to 255 at 8 bits. */
  asymmetric: (bits: number): FakeQuantConfig => configOf('asymmetric', bits, false),
  /** All signed codes, -128 to 127 at 8 bits: PyTorch's `qint8`. */
  signed: (bits: number, symmetric: boolean): FakeQuantConfig => configOf('signed', bits, symmetric),
  /** All unsigned codes, 0 to 255 at 8 bits: PyTorch's `quint8`. */
  unsigned: (bits: number, symmetric: boolean): FakeQuantConfig => configOf('unsigned', bits, symmetric),
  /** `symmetric(4)`. */
  q4Symmetric: (): FakeQuantConfig => configOf('symmetric', 4, true),
  /** `symmetric(8)`. */
  q8Symmetric: (): FakeQuantConfig => configOf('symmetric', 8, true),
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

/** @internal Steps that the caller trains, in the form of the engine. */
export const readLearned = (learned: unknown): LearnedFields => readFields(LEARNED, 'learned', learned);
