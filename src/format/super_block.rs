//! The common parts of the K-quants: super-blocks of 256 weights, in which the scales of the sub-blocks are quantized
//! too.

use super::elementwise;
use crate::half::f16_scale;
use crate::lanes::Lanes;
use crate::round::nearest_int;

/// Weights per super-block.
pub const SUPER: usize = 256;

/// The weights of a super-block, or their importance.
pub type Super = [f32; SUPER];

/// Runs an encoder of one super-block over all of them, with importance if it is given.
pub fn each_super_block<B>(
    weights: &[f32],
    importance: Option<&[f32]>,
    blocks: &mut [B],
    encode: impl Fn(&Super, Option<&Super>) -> B,
) {
    let (weights, _) = weights.as_chunks::<SUPER>();
    let importance = importance.map(|importance| importance.as_chunks::<SUPER>().0);
    for (i, (block, x)) in blocks.iter_mut().zip(weights).enumerate() {
        *block = encode(x, importance.map(|importance| &importance[i]));
    }
}

/// Writes the lanes to `[from..from + L::N]` of an array with one value per sub-block.
#[inline(always)]
pub fn put<L: Lanes>(values: L, sub_blocks: &mut [f32], from: usize) {
    for (lane, slot) in sub_blocks[from..from + L::N].iter_mut().enumerate() {
        *slot = values.lane(lane);
    }
}

/// The sum of squares, in order and in single precision, as in the references.
pub fn sum_of_squares(x: &Super) -> f32 {
    x.iter().fold(0.0, |sum, x| sum + x * x)
}

/// Decodes an F16 scale.
#[inline(always)]
pub fn scale(bits: [u8; 2]) -> f32 {
    f16_scale(bits)
}

/// The codes of one sub-block for its final scale: `(x + offset) / d`, rounded half to even, clamped, plus `bias`.
///
/// Elementwise, so the compiler vectorises a plain loop; with [`Lanes`] it was a fifth slower for Q3_K.
#[inline(always)]
pub fn requantize(x: &[f32], offset: f32, d: f32, [low, high]: [i32; 2], bias: i32, codes: &mut [u8]) {
    for (code, x) in codes.iter_mut().zip(x) {
        *code = (nearest_int((x + offset) / d).min(high).max(low) + bias) as u8;
    }
}

/// Packs two-bit codes: byte `l` of half `i` holds codes `128 i + l + 0, 32, 64, 96`, the first in its lowest bits.
#[inline(always)]
pub fn pack_two_bits(codes: &[u8; SUPER]) -> [[u8; 32]; 2] {
    let mut packed = [[0; 32]; 2];
    for (packed, codes) in packed.iter_mut().zip(codes.as_chunks::<128>().0) {
        for (l, byte) in packed.iter_mut().enumerate() {
            *byte = codes[l] | codes[l + 32] << 2 | codes[l + 64] << 4 | codes[l + 96] << 6;
        }
    }
    packed
}

/// Unpacks the four runs of 32 codes in one half of [`pack_two_bits`].
#[inline(always)]
pub fn two_bits(half: &[u8; 32]) -> [[u8; 32]; 4] {
    [
        elementwise::each(half, |q| q & 3),
        elementwise::each(half, |q| q >> 2 & 3),
        elementwise::each(half, |q| q >> 4 & 3),
        elementwise::each(half, |q| q >> 6),
    ]
}
