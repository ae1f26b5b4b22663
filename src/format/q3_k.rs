//! Q3_K: `w = d (s - 32) (q - 4)`, 256 weights in 110 bytes, 3.4375 bits per weight.
//!
//! ```text
//! byte   0..32   hmask   bit j of byte l is the third bit of weight 32 j + l
//! byte  32..96   qs      lower two bits: byte 32 i + l holds weights 128 i + l + 0, 32, 64, 96, the first lowest
//! byte  96..108  scales  sixteen six-bit scales s: byte j in 0..8 holds the lower four bits of scale j low, j + 8 high;
//!                        byte 8 + j, j in 0..4, the upper two of scales j, j + 4, j + 8, j + 12, the first lowest
//! byte 108..110  d       F16   step of the scales
//! ```
//!
//! Sixteen sub-blocks of 16 weights. Without importance the encoder changes single codes while that reduces the error
//! ([`crate::search::refined`]); with importance it tries nineteen candidate scales, also for quantizing the scales
//! ([`crate::search::symmetric`]). For models that must be smaller than Q4_K; presets keep sensitive tensors in larger
//! formats.
//! Source: ggml `quantize_row_q3_K_ref`, `quantize_row_q3_K_impl`, `dequantize_row_q3_K`.

use super::block::{BlockEncoder, BlockFormat, finite_f16, importance_weights, transpose};
use super::elementwise;
use super::super_block::{
    SUPER, Super, each_super_block, pack_two_bits, put, requantize, scale, sum_of_squares, two_bits,
};
use crate::half::f16_from_f32;
use crate::lanes::Lanes;
use crate::round::nearest_int;
use crate::search::{self, signed_max};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// One super-block of Q3_K.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Q3K {
    hmask: [u8; 32],
    qs: [[u8; 32]; 2],
    scales: [u8; 12],
    d: [u8; 2],
}

impl BlockFormat for Q3K {
    const ID: u32 = 11;
    const NAME: &'static str = "Q3_K";
    const WEIGHTS: usize = SUPER;

    fn decode(&self, out: &mut [f32]) {
        let d = scale(self.d);
        for (half, out) in out.as_chunks_mut::<128>().0.iter_mut().enumerate() {
            for (quarter, low) in two_bits(&self.qs[half]).iter().enumerate() {
                let bit = 1 << (4 * half + quarter);
                let codes = elementwise::or(low, &elementwise::each(&self.hmask, |h| if h & bit == 0 { 0 } else { 4 }));
                for (side, codes) in codes.as_chunks::<16>().0.iter().enumerate() {
                    let j = 2 * quarter + side;
                    let step = d * self.sub_scale(8 * half + j);
                    elementwise::decode(&elementwise::less(codes, 4), step, &mut out[16 * j..][..16]);
                }
            }
        }
    }

    fn is_valid(&self) -> bool {
        finite_f16(self.d)
    }
}

impl Q3K {
    /// Scale `j` without its offset of 32.
    #[inline(always)]
    fn sub_scale(&self, j: usize) -> f32 {
        let low = self.scales[j % 8] >> (j / 8 * 4) & 15;
        let high = self.scales[8 + j % 4] >> (j / 4 * 2) & 3;
        f32::from((low | high << 4) as i8 - 32)
    }
}

impl BlockEncoder for Q3K {
    fn encode<L: Lanes>(weights: &[f32], blocks: &mut [Self]) {
        each_super_block(weights, None, blocks, encode::<L>);
    }

    fn encode_weighted<L: Lanes>(row: &[f32], importance: &[f32], _mean_square: f32, blocks: &mut [Self]) {
        each_super_block(row, Some(importance), blocks, encode::<L>);
    }
}

fn encode<L: Lanes>(x: &Super, importance: Option<&Super>) -> Q3K {
    let importance = importance.map(|importance| (importance, 2.0 * sum_of_squares(x) / 256.0));
    let (mut scales, mut totals) = ([0.0; 16], [0.0; 16]);
    for j in (0..16).step_by(L::N) {
        let (fit, total) = search_sub_blocks::<L>(x, importance, j, &mut [L::splat(0.0); 16]);
        put(fit, &mut scales, j);
        put(total, &mut totals, j);
    }
    let (d, scale_codes) = match importance {
        None => six_bits(&scales),
        Some(_) => {
            let mut codes = [0.0; 16];
            let d = search::symmetric(&scales, &totals, 32.0, &mut codes);
            (d, codes.map(|code| code as u8))
        }
    };
    let d = f16_from_f32(d).to_le_bytes();
    let mut block = Q3K { hmask: [0; 32], qs: [[0; 32]; 2], scales: pack_scales(scale_codes), d };

    let mut codes = [0; SUPER];
    for (j, (codes, x_j)) in codes.as_chunks_mut::<16>().0.iter_mut().zip(x.as_chunks::<16>().0).enumerate() {
        let sub_d = scale(d) * block.sub_scale(j);
        if sub_d == 0.0 {
            // If the scale is zero the search's own codes are kept. This is rare, so the search is run again.
            let mut kept = [L::splat(0.0); 16];
            search_sub_blocks::<L>(x, importance, j - j % L::N, &mut kept);
            *codes = kept.map(|code| code.lane(j % L::N) as u8);
        } else {
            requantize(x_j, 0.0, sub_d, [-4, 3], 4, codes);
        }
    }
    for (j, codes) in codes.as_chunks().0.iter().enumerate() {
        elementwise::mark(&mut block.hmask, 1 << j, codes, 4);
    }
    block.qs = pack_two_bits(&elementwise::each(&codes, |code| code & 3));
    block
}

/// The scales of sub-blocks `j..j + L::N` and the sums of their error weights; writes the codes of the search.
fn search_sub_blocks<L: Lanes>(x: &Super, importance: Option<(&Super, f32)>, j: usize, codes: &mut [L; 16]) -> (L, L) {
    let zero = L::splat(0.0);
    let x: [L; 16] = transpose(&x[16 * j..]);
    match importance {
        None => (search::refined(&x, 4.0, codes), zero),
        Some((importance, sigma2)) => {
            let w = importance_weights(&x, &importance[16 * j..], sigma2);
            let total = w.iter().fold(zero, |sum, &w| sum + w);
            (search::symmetric(&x, &w, 4.0, codes), total)
        }
    }
}

/// Quantizes sixteen numbers to codes (offset by 32) relative to a 32nd of the one with the largest magnitude; returns
/// the step and the codes.
fn six_bits(values: &[f32; 16]) -> (f32, [u8; 16]) {
    let max = signed_max(values);
    if max == 0.0 {
        return (0.0, [0; 16]);
    }
    let inverse = -32.0 / max;
    // The reference converts the integer to int8_t before it clamps.
    let code = |value: f32| (nearest_int(inverse * value) as i8).clamp(-32, 31) + 32;
    (1.0 / inverse, values.map(|value| code(value) as u8))
}

fn pack_scales(codes: [u8; 16]) -> [u8; 12] {
    std::array::from_fn(|i| match i {
        0..8 => codes[i] & 15 | codes[i + 8] << 4,
        _ => (0..4).fold(0, |bits, quarter| bits | codes[i - 8 + 4 * quarter] >> 4 << (2 * quarter)),
    })
}
