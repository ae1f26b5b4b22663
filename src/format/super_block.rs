//! What the K-quants share: super-blocks of 256 weights whose sub-blocks have quantized scales of their own.

use super::along;
use crate::half::f16_scale;
use crate::lanes::Lanes;
use crate::round::nearest_int;

/// Weights per super-block.
pub const SUPER: usize = 256;

/// The weights of a super-block, or their importances.
pub type Super = [f32; SUPER];

/// Runs an encoder of one super-block over all of them, under importance if there is one.
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

/// Fills `[from..from + L::N]` of an array that has one value per sub-block.
#[inline(always)]
pub fn put<L: Lanes>(values: L, sub_blocks: &mut [f32], from: usize) {
    for (lane, slot) in sub_blocks[from..from + L::N].iter_mut().enumerate() {
        *slot = values.lane(lane);
    }
}

/// The sum of squares in order, in single precision as the references do.
pub fn sum_of_squares(x: &Super) -> f32 {
    x.iter().fold(0.0, |sum, x| sum + x * x)
}

/// An F16 as the number it is.
#[inline(always)]
pub fn scale(bits: [u8; 2]) -> f32 {
    f16_scale(bits)
}

/// The codes of one sub-block under its final scale: `(x + offset) / d`, rounded half to even, clamped, plus `bias`.
///
/// Elementwise, so a plain loop becomes vectors of neighbours; over [`Lanes`] it was slower by a fifth for Q3_K.
#[inline(always)]
pub fn requantize(x: &[f32], offset: f32, d: f32, [low, high]: [i32; 2], bias: i32, codes: &mut [u8]) {
    for (code, x) in codes.iter_mut().zip(x) {
        *code = (nearest_int((x + offset) / d).min(high).max(low) + bias) as u8;
    }
}

/// Two-bit codes: byte `l` of half `i` holds codes `128 i + l + 0, 32, 64, 96`, the first in its lowest bits.
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

/// The four runs of 32 codes that one half of [`pack_two_bits`] holds.
#[inline(always)]
pub fn two_bits(half: &[u8; 32]) -> [[u8; 32]; 4] {
    [
        along::each(half, |q| q & 3),
        along::each(half, |q| q >> 2 & 3),
        along::each(half, |q| q >> 4 & 3),
        along::each(half, |q| q >> 6),
    ]
}
