//! The two traits that block formats implement, and the driver for formats that encode one block per lane.

use crate::lanes::Lanes;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// One block of a GGUF format. The fields have the order and width that the file has.
pub trait BlockFormat: Copy + FromBytes + IntoBytes + Immutable + KnownLayout + Unaligned + 'static {
    /// The `ggml_type` number in GGUF files.
    const ID: u32;
    /// The name, spelled as in llama.cpp.
    const NAME: &'static str;
    /// Weights per block.
    const WEIGHTS: usize;

    /// Decodes the block to [`Self::WEIGHTS`] weights, the length of `out`.
    fn decode(&self, out: &mut [f32]);

    /// Decodes all blocks to `out`, which has their total length. For formats that are faster over several blocks.
    fn decode_all(blocks: &[Self], out: &mut [f32]) {
        for (block, out) in blocks.iter().zip(out.chunks_exact_mut(Self::WEIGHTS)) {
            block.decode(out);
        }
    }

    /// Whether `ggml_validate_row_data` accepts the block, that is, its scales are finite.
    fn is_valid(&self) -> bool;
}

/// A block format that can be written.
pub trait BlockEncoder: BlockFormat {
    /// Whether ggml requires an importance matrix to encode.
    const NEEDS_IMPORTANCE: bool = false;
    /// Whether ggml writes the same bytes with and without importance. [`Self::encode_weighted`] is then never called.
    const IGNORES_IMPORTANCE: bool = false;
    /// Whether the weighting depends on the mean square of the whole row, so that blocks are not independent of each
    /// other.
    const WEIGHS_BY_ROW: bool = false;

    /// Encodes `weights`, which are finite and a whole number of blocks.
    ///
    /// Weights that cannot be represented give a block that is not [valid](BlockFormat::is_valid).
    fn encode<L: Lanes>(weights: &[f32], blocks: &mut [Self]);

    /// Encodes a row or a part of one, with one importance per weight (`ggml_quantize_chunk` with an imatrix).
    /// `mean_square` is that of the whole row if [`Self::WEIGHS_BY_ROW`], otherwise 0.
    ///
    /// Formats that [ignore importance](Self::IGNORES_IMPORTANCE) keep this default.
    fn encode_weighted<L: Lanes>(row: &[f32], _importance: &[f32], _mean_square: f32, blocks: &mut [Self]) {
        Self::encode::<L>(row, blocks);
    }
}

/// A format with small blocks, encoded one block per lane.
pub trait GroupEncoder: BlockFormat {
    /// Whether ggml writes the same bytes with and without importance.
    const IGNORES_IMPORTANCE: bool = false;
    /// Whether [`Self::encode_group_weighted`] uses the mean square of the row.
    const WEIGHS_BY_ROW: bool = false;

    /// Encodes `L::N` neighbouring blocks.
    fn encode_group<L: Lanes>(weights: &[f32], blocks: &mut [Self]);

    /// Encodes with importance. `sigma2` is the mean square of the whole row if [`Self::WEIGHS_BY_ROW`], otherwise 0.
    fn encode_group_weighted<L: Lanes>(weights: &[f32], _importance: &[f32], _sigma2: f32, blocks: &mut [Self]) {
        Self::encode_group::<L>(weights, blocks);
    }
}

impl<B: GroupEncoder> BlockEncoder for B {
    const IGNORES_IMPORTANCE: bool = <B as GroupEncoder>::IGNORES_IMPORTANCE;
    const WEIGHS_BY_ROW: bool = <B as GroupEncoder>::WEIGHS_BY_ROW;

    fn encode<L: Lanes>(weights: &[f32], blocks: &mut [Self]) {
        let mut weights = weights.chunks_exact(L::N * Self::WEIGHTS);
        let mut groups = blocks.chunks_exact_mut(L::N);
        for (weights, blocks) in weights.by_ref().zip(groups.by_ref()) {
            Self::encode_group::<L>(weights, blocks);
        }
        let tail = padded::<L>(weights.remainder(), Self::WEIGHTS);
        fill(groups.into_remainder(), L::N, |blocks| Self::encode_group::<L>(&tail, blocks));
    }

    fn encode_weighted<L: Lanes>(row: &[f32], importance: &[f32], sigma2: f32, blocks: &mut [Self]) {
        let group = L::N * Self::WEIGHTS;
        let (mut row, mut importance) = (row.chunks_exact(group), importance.chunks_exact(group));
        let mut groups = blocks.chunks_exact_mut(L::N);
        for ((weights, importance), blocks) in row.by_ref().zip(importance.by_ref()).zip(groups.by_ref()) {
            Self::encode_group_weighted::<L>(weights, importance, sigma2, blocks);
        }
        let weights = padded::<L>(row.remainder(), Self::WEIGHTS);
        let importance = padded::<L>(importance.remainder(), Self::WEIGHTS);
        fill(groups.into_remainder(), L::N, |blocks| {
            Self::encode_group_weighted::<L>(&weights, &importance, sigma2, blocks);
        });
    }
}

/// The remaining blocks, padded with zeros to a full group, so that they run the same code as all others; a second
/// instance for single floats would double the size of every encoder. Empty if no blocks remain.
fn padded<L: Lanes>(rest: &[f32], weights: usize) -> Vec<f32> {
    let mut padded = rest.to_vec();
    if !rest.is_empty() {
        padded.resize(L::N * weights, 0.0);
    }
    padded
}

/// Encodes a group of `n` blocks and keeps as many as there are in `tail`.
fn fill<B: BlockFormat>(tail: &mut [B], n: usize, encode: impl FnOnce(&mut [B])) {
    if !tail.is_empty() {
        let mut group = vec![B::new_zeroed(); n];
        encode(&mut group);
        tail.copy_from_slice(&group[..tail.len()]);
    }
}

/// Adds the sum of squares of `piece` to `sum`, in order and in single precision, as the references compute it. A long
/// row is summed piece by piece.
pub fn add_squares(sum: f32, piece: &[f32]) -> f32 {
    piece.iter().fold(sum, |sum, x| sum + x * x)
}

/// The mean square of a row of `len` weights, from its [sum of squares](add_squares).
pub fn mean_square(sum: f32, len: u64) -> f32 {
    sum / len as f32
}

/// ggml's weighting of the squared error, `importance * sqrt(sigma2 + x^2)`, for the elements of `L::N` blocks.
pub fn importance_weights<L: Lanes, const W: usize>(x: &[L; W], importance: &[f32], sigma2: f32) -> [L; W] {
    let quant: [L; W] = transpose(importance);
    let sigma2 = L::splat(sigma2);
    std::array::from_fn(|j| quant[j] * (sigma2 + x[j] * x[j]).sqrt())
}

/// Transposes `L::N` neighbouring blocks of `W` values: lane `i` of element `[j]` is element `j` of block `i`.
#[inline(always)]
pub fn transpose<L: Lanes, const W: usize>(values: &[f32]) -> [L; W] {
    std::array::from_fn(|j| L::gather(&values[j..], W))
}

/// Whether the F16 with these bits is finite.
#[inline(always)]
pub const fn finite_f16(bits: [u8; 2]) -> bool {
    u16::from_le_bytes(bits) & 0x7c00 != 0x7c00
}
