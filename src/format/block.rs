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

    /// Whether `ggml_validate_row_data` accepts the block: its scales are finite.
    fn is_valid(&self) -> bool;
}

/// A format that can be written.
pub trait BlockEncoder: BlockFormat {
    /// Whether ggml refuses to encode without an importance vector.
    const NEEDS_IMPORTANCE: bool = false;

    /// Encodes `weights` into as many blocks as they fill; all weights are finite.
    ///
    /// What cannot be represented becomes a block that is not [valid](BlockFormat::is_valid).
    fn encode<L: Lanes>(weights: &[f32], blocks: &mut [Self]);

    /// Encodes one row under an importance vector of its length (`ggml_quantize_chunk` with an imatrix).
    ///
    /// Formats that ignore importance, as ggml does for them, keep this default.
    fn encode_weighted<L: Lanes>(row: &[f32], _importance: &[f32], blocks: &mut [Self]) {
        Self::encode::<L>(row, blocks);
    }
}

/// A format of small blocks: lane `i` is block `i`.
pub trait GroupEncoder: BlockFormat {
    /// Encodes `L::N` neighbouring blocks.
    fn encode_group<L: Lanes>(weights: &[f32], blocks: &mut [Self]);

    /// The same under importance; `sigma2` is the mean square of the whole row.
    fn encode_group_weighted<L: Lanes>(weights: &[f32], _importance: &[f32], _sigma2: f32, blocks: &mut [Self]) {
        Self::encode_group::<L>(weights, blocks);
    }
}

impl<B: GroupEncoder> BlockEncoder for B {
    fn encode<L: Lanes>(weights: &[f32], blocks: &mut [Self]) {
        let group = L::N * Self::WEIGHTS;
        let mut weights = weights.chunks_exact(group);
        let mut groups = blocks.chunks_exact_mut(L::N);
        for (weights, blocks) in weights.by_ref().zip(groups.by_ref()) {
            Self::encode_group::<L>(weights, blocks);
        }
        let tail = weights.remainder().chunks_exact(Self::WEIGHTS);
        for (weights, block) in tail.zip(groups.into_remainder().chunks_exact_mut(1)) {
            Self::encode_group::<f32>(weights, block);
        }
    }

    fn encode_weighted<L: Lanes>(row: &[f32], importance: &[f32], blocks: &mut [Self]) {
        let sigma2 = mean_square(row);
        let full = blocks.len() / L::N * L::N;
        let (groups, tail) = blocks.split_at_mut(full);
        for (i, blocks) in groups.chunks_exact_mut(L::N).enumerate() {
            let at = i * L::N * Self::WEIGHTS..(i + 1) * L::N * Self::WEIGHTS;
            Self::encode_group_weighted::<L>(&row[at.clone()], &importance[at], sigma2, blocks);
        }
        for (i, block) in tail.chunks_exact_mut(1).enumerate() {
            let at = (full + i) * Self::WEIGHTS..(full + i + 1) * Self::WEIGHTS;
            Self::encode_group_weighted::<f32>(&row[at.clone()], &importance[at], sigma2, block);
        }
    }
}

/// Mean of the squares, summed in order in single precision as the references do.
pub fn mean_square(row: &[f32]) -> f32 {
    let mut sum = 0.0f32;
    for x in row {
        sum += x * x;
    }
    sum / row.len() as f32
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
