//! The two traits every block format implements, and the driver for formats whose lanes are whole blocks.

use crate::lanes::Lanes;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// One block of a GGUF format, its fields in the order and of the width the file has them.
pub trait BlockFormat: Copy + FromBytes + IntoBytes + Immutable + KnownLayout + Unaligned + 'static {
    /// The `ggml_type` number in files.
    const ID: u32;
    /// The name, spelled as llama.cpp spells it.
    const NAME: &'static str;
    /// Weights per block.
    const WEIGHTS: usize;

    /// Writes the block's [`Self::WEIGHTS`] weights to `out`, which has that length.
    fn decode(&self, out: &mut [f32]);

    /// Writes the weights of all blocks to `out`, which has their length: for formats that have more to gain from neighbours.
    fn decode_all(blocks: &[Self], out: &mut [f32]) {
        for (block, out) in blocks.iter().zip(out.chunks_exact_mut(Self::WEIGHTS)) {
            block.decode(out);
        }
    }

    /// Whether `ggml_validate_row_data` accepts the block: its scales are finite.
    fn is_valid(&self) -> bool;
}

/// A format that can be written.
pub trait BlockEncoder: BlockFormat {
    /// Whether ggml refuses to encode without an importance vector.
    const NEEDS_IMPORTANCE: bool = false;
    /// Whether ggml writes the same with importance as without: then [`Self::encode_weighted`] is not asked for.
    const IGNORES_IMPORTANCE: bool = false;
    /// Whether the weighting depends on the mean square of the whole row: then its blocks are not independent of each other.
    const WEIGHS_BY_ROW: bool = false;

    /// Encodes `weights` into as many blocks as they fill; all weights are finite.
    ///
    /// What cannot be represented becomes a block that is not [valid](BlockFormat::is_valid).
    fn encode<L: Lanes>(weights: &[f32], blocks: &mut [Self]);

    /// Encodes a row or a piece of one under importance of the same length (`ggml_quantize_chunk` with an imatrix).
    /// `mean_square` is that of the whole row if the format [asks for it](Self::WEIGHS_BY_ROW), else 0.
    ///
    /// Formats that [ignore importance](Self::IGNORES_IMPORTANCE) keep this default.
    fn encode_weighted<L: Lanes>(row: &[f32], _importance: &[f32], _mean_square: f32, blocks: &mut [Self]) {
        Self::encode::<L>(row, blocks);
    }
}

/// A format of small blocks: lane `i` is block `i`.
pub trait GroupEncoder: BlockFormat {
    /// Whether ggml writes the same with importance as without.
    const IGNORES_IMPORTANCE: bool = false;
    /// Whether [`Self::encode_group_weighted`] reads the mean square of the row.
    const WEIGHS_BY_ROW: bool = false;

    /// Encodes `L::N` neighbouring blocks.
    fn encode_group<L: Lanes>(weights: &[f32], blocks: &mut [Self]);

    /// The same under importance; `sigma2` is the mean square of the whole row, 0 unless [`Self::WEIGHS_BY_ROW`].
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

/// The blocks that are left over, filled up to a group with zeros: the same code as for all others, where a second one
/// over single floats would double every encoder. Nothing if none is left.
fn padded<L: Lanes>(rest: &[f32], weights: usize) -> Vec<f32> {
    let mut padded = rest.to_vec();
    if !rest.is_empty() {
        padded.resize(L::N * weights, 0.0);
    }
    padded
}

/// Lets a group of `n` blocks be encoded, and keeps those that there are.
fn fill<B: BlockFormat>(tail: &mut [B], n: usize, encode: impl FnOnce(&mut [B])) {
    if !tail.is_empty() {
        let mut group = vec![B::new_zeroed(); n];
        encode(&mut group);
        tail.copy_from_slice(&group[..tail.len()]);
    }
}

/// The sum of the squares of a row, in order and in single precision as the references compute it. A long row is summed
/// piece by piece: the sum so far goes in.
pub fn add_squares(sum: f32, piece: &[f32]) -> f32 {
    piece.iter().fold(sum, |sum, x| sum + x * x)
}

/// The mean of the squares of a row of `len` weights, from their [sum](add_squares).
pub fn mean_square(sum: f32, len: u64) -> f32 {
    sum / len as f32
}

/// ggml's weight of a weight: `importance * sqrt(sigma2 + x^2)`, element after element of `L::N` blocks.
pub fn importance_weights<L: Lanes, const W: usize>(x: &[L; W], importance: &[f32], sigma2: f32) -> [L; W] {
    let quant: [L; W] = transpose(importance);
    let sigma2 = L::splat(sigma2);
    std::array::from_fn(|j| quant[j] * (sigma2 + x[j] * x[j]).sqrt())
}

/// `L::N` neighbouring blocks of `W` values, element after element: lane `i` of `[j]` is element `j` of block `i`.
#[inline(always)]
pub fn transpose<L: Lanes, const W: usize>(values: &[f32]) -> [L; W] {
    std::array::from_fn(|j| L::gather(&values[j..], W))
}

/// Whether F16 bits are a finite number.
#[inline(always)]
pub const fn finite_f16(bits: [u8; 2]) -> bool {
    u16::from_le_bytes(bits) & 0x7c00 != 0x7c00
}
