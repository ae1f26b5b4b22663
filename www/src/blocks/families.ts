/** The formats by family. tests/js/layouts.test.ts checks that every format is in one family. */

import type { FormatName } from 'quantpress';

/** A family of similar formats. */
export interface Family {
  readonly label: string;
  readonly names: readonly FormatName[];
}

export const FAMILIES: readonly Family[] = [
  { label: 'Simple blocks', names: ['Q4_0', 'Q4_1', 'Q5_0', 'Q5_1', 'Q8_0', 'Q8_1'] },
  { label: 'K-quants', names: ['Q2_K', 'Q3_K', 'Q4_K', 'Q5_K', 'Q6_K', 'Q8_K'] },
  {
    label: 'Grids and levels',
    names: ['IQ1_S', 'IQ1_M', 'IQ2_XXS', 'IQ2_XS', 'IQ2_S', 'IQ3_XXS', 'IQ3_S', 'IQ4_NL', 'IQ4_XS'],
  },
  { label: 'Ternary and binary', names: ['TQ1_0', 'TQ2_0', 'Q1_0', 'Q2_0'] },
  { label: '4-bit floats', names: ['MXFP4', 'NVFP4'] },
  { label: 'Floats', names: ['F16', 'BF16', 'F32', 'F64'] },
  { label: 'Integers', names: ['I8', 'I16', 'I32', 'I64'] },
];
