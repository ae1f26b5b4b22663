import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { PlannedTensor } from 'quantpress';
import { tilesOf } from '../../dist/model/quantize/tiles.js';

const dimension = fc.integer({ min: 1, max: 9 });

/** A tensor of F16 that becomes Q8_0 or IQ2_XXS, or is copied; rows of up to 8 Mi weights. */
const tensors = fc.array(
  fc.record({
    blocks: fc.oneof(dimension, fc.integer({ min: 1, max: 1 << 18 })),
    further: fc.array(dimension, { maxLength: 3 }),
    to: fc.constantFrom('Q8_0' as const, 'IQ2_XXS' as const, 'F16' as const),
  }),
  { minLength: 1, maxLength: 5 },
);

const ROW_BYTES = { Q8_0: 34, IQ2_XXS: 66 / 8, F16: 64 };

function planned(shapes: { blocks: number; further: number[]; to: keyof typeof ROW_BYTES }[]): PlannedTensor[] {
  let source = 1000;
  let target = 500;
  return shapes.map(({ blocks, further, to }, index) => {
    const rowLength = (to === 'IQ2_XXS' ? Math.ceil(blocks / 8) * 8 : blocks) * 32;
    const rows = further.reduce((product, n) => product * n, 1);
    const sourceBytes = rowLength * 2 * rows;
    const targetBytes = (rowLength / 32) * ROW_BYTES[to] * rows;
    const paddedBytes = Math.ceil(targetBytes / 32) * 32;
    const tensor: PlannedTensor = {
      name: String(index),
      sourceName: String(index),
      from: 'F16',
      to,
      why: '',
      shape: [rowLength, ...further],
      rows,
      rowLength,
      headRows: 0,
      sourceOffset: source,
      sourceBytes,
      targetOffset: target,
      targetBytes,
      paddedBytes,
      needsImportance: false,
      hasImportance: false,
    };
    source += sourceBytes + 7;
    target += paddedBytes;
    return tensor;
  });
}

test('tiles are whole rows or pieces of one, cover every tensor once and in order, and are small', () => {
  fc.assert(
    fc.property(tensors, (shapes) => {
      const plan = planned(shapes);
      let target = 500;
      const read = plan.map(({ sourceOffset }) => sourceOffset);
      for (const tile of tilesOf(plan)) {
        const { tensor, index, firstWeight } = tile;
        expect(tensor).toBe(plan[index]);
        expect(tile.input.offset).toBe(read[index]);
        expect(tile.target.offset).toBe(target);
        read[index] = (read[index] ?? 0) + tile.input.length;
        target += tile.target.length + tile.padding;
        const weights = tile.input.length / 2;
        expect(firstWeight).toBe((tile.input.offset - tensor.sourceOffset) / 2);
        expect(weights).toBeLessThanOrEqual(1 << 20);
        const { columns } = tile;
        if (tensor.to !== 'F16' && columns === tensor.rowLength) expect(weights % columns).toBe(0);
        else if (tensor.to !== 'F16') {
          // A piece of one row, cut where blocks of every format end.
          expect(columns).toBe(weights);
          expect((firstWeight % tensor.rowLength) % 256).toBe(0);
          expect((firstWeight % tensor.rowLength) + weights).toBeLessThanOrEqual(tensor.rowLength);
        }
        const matrix = tensor.rowLength * (tensor.shape.length > 2 ? (tensor.shape[1] ?? 1) : tensor.rows);
        expect(Math.floor(firstWeight / matrix)).toBe(Math.floor((firstWeight + weights - 1) / matrix));
      }
      expect(read).toEqual(plan.map(({ sourceOffset, sourceBytes }) => sourceOffset + sourceBytes));
      expect(target).toBe(500 + plan.reduce((sum, { paddedBytes }) => sum + paddedBytes, 0));
    }),
    { numRuns: 40, seed: 14 },
  );
});
