//! Matrix multiplication: inputs times the transpose of a tile of weights.
//!
//! `out[t][r]` is the sum over `k` of `x[t][k] * w[r][k]`: the products of each [`BLOCK`] columns are summed from the
//! first to the last, then the blocks' sums are. That order depends only on the number of columns. A lane is an output
//! of its own, so neither the number of lanes nor the division into tiles changes any bit.

use crate::lanes::Lanes;

/// Columns whose products are summed before the sum is added to the output.
pub const BLOCK: usize = 256;
/// Inputs per call of the kernel.
const INPUTS: usize = 4;
/// Rows of weights per call of the kernel.
const ROWS: usize = 32;
/// Columns whose products are added while a sum is in a register.
const COLUMNS: usize = 4;
/// Inputs whose columns of a block stay in the cache while all weights of the tile pass.
const RUN: usize = 256;

/// The lanes of products on this target.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub type Width = crate::lanes::Best;
/// The lanes of products on this target: one, because the compiler vectorises loops over rows of single floats, and leaves
/// those over arrays of four scalar (24 instead of 5 GFLOP/s).
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
pub type Width = f32;

/// A tile of weights, arranged for [`multiply`].
#[derive(Default)]
pub struct Packed {
    /// A panel of rows after the other, column by column; missing rows are 0.
    weights: Vec<[f32; ROWS]>,
    rows: usize,
    columns: usize,
    inputs: Vec<[f32; INPUTS]>,
}

impl Packed {
    /// Arranges rows of `columns` weights.
    pub fn pack(&mut self, weights: &[f32], columns: usize) {
        self.rows = weights.len().checked_div(columns).unwrap_or(0);
        self.columns = columns;
        self.weights.clear();
        self.weights.resize(self.rows.div_ceil(ROWS) * columns, [0.0; ROWS]);
        if columns == 0 {
            return;
        }
        for (panel, rows) in self.weights.chunks_exact_mut(columns).zip(weights.chunks(ROWS * columns)) {
            for (index, row) in rows.chunks_exact(columns).enumerate() {
                for (column, weight) in panel.iter_mut().zip(row) {
                    column[index] = *weight;
                }
            }
        }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }
}

/// Multiplies each row of `inputs` with each row of the tile. The products are written to `out[t * stride + first..]`,
/// where `out` has a row of `stride` values for each input.
pub fn multiply<L: Lanes>(inputs: &[f32], tile: &mut Packed, out: &mut [f32], stride: usize, first: usize) {
    let (rows, columns) = (tile.rows, tile.columns);
    multiply_part::<L>(inputs, tile, rows, columns, out, stride, first);
}

/// Multiplies only the first `depth` columns of the inputs and the first `rows` rows of the tile. If the other columns
/// of the inputs are 0, the products are those of all columns.
pub fn multiply_part<L: Lanes>(
    inputs: &[f32],
    tile: &mut Packed,
    rows: usize,
    depth: usize,
    out: &mut [f32],
    stride: usize,
    first: usize,
) {
    let Packed { weights, columns, inputs: packed, .. } = tile;
    let columns = *columns;
    if columns == 0 || stride == 0 {
        return;
    }
    for (run, out) in inputs.chunks(RUN * columns).zip(out.chunks_mut(RUN * stride)) {
        for start in (0..depth).step_by(BLOCK) {
            let end = depth.min(start + BLOCK);
            pack_inputs(run, columns, start..end, packed);
            for (panel, weights) in weights.chunks_exact(columns).take(rows.div_ceil(ROWS)).enumerate() {
                let weights = &weights[start..end];
                let (from, count) = (first + panel * ROWS, ROWS.min(rows - panel * ROWS));
                for (inputs, out) in packed.chunks_exact(end - start).zip(out.chunks_mut(INPUTS * stride)) {
                    let mut sums = [[0.0; ROWS]; INPUTS];
                    kernel::<L>(inputs, weights, &mut sums);
                    for (sums, out) in sums.iter().zip(out.chunks_exact_mut(stride)) {
                        for (out, sum) in out[from..from + count].iter_mut().zip(sums) {
                            *out = if start == 0 { *sum } else { *out + sum };
                        }
                    }
                }
            }
        }
    }
}

/// Arranges columns of the inputs, four inputs at a time, column by column; missing inputs are 0.
fn pack_inputs(inputs: &[f32], columns: usize, part: std::ops::Range<usize>, out: &mut Vec<[f32; INPUTS]>) {
    let len = part.len();
    out.clear();
    out.resize((inputs.len() / columns).div_ceil(INPUTS) * len, [0.0; INPUTS]);
    for (group, out) in inputs.chunks(INPUTS * columns).zip(out.chunks_exact_mut(len)) {
        for (index, input) in group.chunks_exact(columns).enumerate() {
            for (out, x) in out.iter_mut().zip(&input[part.clone()]) {
                out[index] = *x;
            }
        }
    }
}

/// Adds the products of four inputs with all rows of a panel, column after column.
fn kernel<L: Lanes>(inputs: &[[f32; INPUTS]], weights: &[[f32; ROWS]], sums: &mut [[f32; ROWS]; INPUTS]) {
    let (inputs, last_inputs) = inputs.as_chunks::<COLUMNS>();
    let (weights, last_weights) = weights.as_chunks::<COLUMNS>();
    for (inputs, weights) in inputs.iter().zip(weights) {
        for (index, sums) in sums.iter_mut().enumerate() {
            add::<L, COLUMNS>(inputs.map(|input| input[index]), weights, sums);
        }
    }
    for (input, column) in last_inputs.iter().zip(last_weights) {
        for (x, sums) in input.iter().zip(sums.iter_mut()) {
            add::<L, 1>([*x], &[*column], sums);
        }
    }
}

/// Adds the products of one input's columns to the sums of all rows.
#[inline(always)]
fn add<L: Lanes, const C: usize>(inputs: [f32; C], weights: &[[f32; ROWS]; C], sums: &mut [f32; ROWS]) {
    for at in (0..ROWS).step_by(L::N) {
        let mut sum = L::load(&sums[at..at + L::N]);
        for (x, weights) in inputs.iter().zip(weights) {
            sum = sum + L::splat(*x) * L::load(&weights[at..at + L::N]);
        }
        for (lane, out) in sums[at..at + L::N].iter_mut().enumerate() {
            *out = sum.lane(lane);
        }
    }
}
