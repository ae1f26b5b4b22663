/** Sample weights: patterns that show the strengths and weaknesses of formats. */

import { generateGaussianWeights, generateUniformWeights } from 'quantpress';

/** The number of weights of the largest block. */
export const MOST = 256;

/** A generator of {@link MOST} weights; equal seeds give equal weights. */
export interface Pattern {
  readonly label: string;
  readonly about: string;
  readonly make: (seed: number) => Float32Array;
}

export const PATTERNS: Readonly<Record<string, Pattern>> = {
  normal: {
    label: 'Normal',
    about: 'Mostly near zero, with few outliers, as in a trained model',
    make: (seed) => generateGaussianWeights(MOST, 0, 1, seed),
  },
  outlier: {
    label: 'Outlier',
    about: 'Normal weights, and one of each 32 eight times as large',
    make: (seed) => generateGaussianWeights(MOST, 0, 1, seed).map((w, i) => (i % 32 === 11 ? w * 8 : w)),
  },
  uniform: {
    label: 'Uniform',
    about: 'Uniform between −1 and 1',
    make: (seed) => generateUniformWeights(MOST, -1, 1, seed),
  },
  shifted: {
    label: 'Off centre',
    about: 'Normal weights around 3: formats with a minimum do better',
    make: (seed) => generateGaussianWeights(MOST, 3, 1, seed),
  },
  wave: {
    label: 'Wave',
    about: 'A sine, which shows the steps of the format',
    make: (seed) => Float32Array.from({ length: MOST }, (_, i) => Math.sin((i + 7 * seed) / 10)),
  },
  growing: {
    label: 'Growing',
    about: 'Each 32 weights twice as large as the previous 32, which sub-block scales handle',
    make: (seed) => generateGaussianWeights(MOST, 0, 1, seed).map((w, i) => (w * 2 ** (i >> 5)) / 64),
  },
  ternary: {
    label: 'Ternary',
    about: 'Only −1, 0 and 1, as in ternary models',
    make: (seed) => generateUniformWeights(MOST, -1.5, 1.5, seed).map(Math.round),
  },
};
