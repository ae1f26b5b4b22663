//! Q2_K: `w = d s q - dmin m`, 256 weights in 84 bytes, 2.625 bits per weight.
//!
//! ```text
//! byte  0..16    scales  one byte per sub-block of 16 weights: 4-bit scale s low, 4-bit minimum m high
//! byte 16..80    qs      2-bit codes: byte 32 i + l holds weights 128 i + l + 0, 32, 64, 96, the first lowest
//! byte 80..82    d       F16   step of the scales
//! byte 82..84    dmin    F16   step of the minimums
//! ```
//!
//! Sixteen sub-blocks of 16 weights. For each, the encoder tries 16 candidates by absolute error or, with importance,
//! 37 by squared error ([`crate::search::affine`]); with importance the scales are searched too
//! ([`crate::search::positive`]). The smallest format that is usable without an importance matrix; large models
//! tolerate it, small ones do not.
//! Source: ggml `quantize_row_q2_K_ref`, `quantize_row_q2_K_impl`, `dequantize_row_q2_K`.

use super::block::{BlockEncoder, BlockFormat, finite_f16, importance_weights, transpose};
use super::elementwise;
use super::super_block::{
    SUPER, Super, each_super_block, pack_two_bits, put, requantize, scale, sum_of_squares, two_bits,
};
use crate::half::f16_from_f32;
use crate::lanes::Lanes;
use crate::round::nearest_int;
use crate::search::{self, Affine, Grid};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// One super-block of Q2_K.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Q2K {
    scales: [u8; 16],
    qs: [[u8; 32]; 2],
    d: [u8; 2],
    dmin: [u8; 2],
}

const GRID: Grid = Grid { nmax: 3.0, first: -0.5, step: 0.1, steps: 15, absolute: true };

impl BlockFormat for Q2K {
    const ID: u32 = 10;
    const NAME: &'static str = "Q2_K";
    const WEIGHTS: usize = SUPER;

    fn decode(&self, out: &mut [f32]) {
        let (d, dmin) = (scale(self.d), scale(self.dmin));
        for (half, out) in out.as_chunks_mut::<128>().0.iter_mut().enumerate() {
            for (quarter, codes) in two_bits(&self.qs[half]).iter().enumerate() {
                for (side, codes) in codes.as_chunks::<16>().0.iter().enumerate() {
                    let j = 2 * quarter + side;
                    let scales = self.scales[8 * half + j];
                    let (step, min) = (d * f32::from(scales & 15), dmin * f32::from(scales >> 4));
                    elementwise::decode_affine(codes, step, -min, &mut out[16 * j..][..16]);
                }
            }
        }
    }

    fn is_valid(&self) -> bool {
        finite_f16(self.d) && finite_f16(self.dmin)
    }
}

impl BlockEncoder for Q2K {
    fn encode<L: Lanes>(weights: &[f32], blocks: &mut [Self]) {
        each_super_block(weights, None, blocks, encode::<L>);
    }

    fn encode_weighted<L: Lanes>(row: &[f32], importance: &[f32], _mean_square: f32, blocks: &mut [Self]) {
        each_super_block(row, Some(importance), blocks, encode::<L>);
    }
}

fn encode<L: Lanes>(x: &Super, importance: Option<&Super>) -> Q2K {
    let importance = importance.map(|importance| (importance, sum_of_squares(x) / 256.0));
    let (mut scales, mut mins, mut totals) = ([0.0; 16], [0.0; 16], [0.0; 16]);
    for j in (0..16).step_by(L::N) {
        let (fit, total) = search_sub_blocks::<L>(x, importance, j);
        put(fit.scale, &mut scales, j);
        put(-fit.min, &mut mins, j);
        put(total, &mut totals, j);
    }
    let ((d, scale_codes), (dmin, min_codes)) = match importance {
        None => (four_bits(&scales), four_bits(&mins)),
        Some(_) => (four_bits_weighted(&scales, &totals), four_bits_weighted(&mins, &totals)),
    };
    let d = f16_from_f32(d).to_le_bytes();
    let dmin = f16_from_f32(dmin).to_le_bytes();
    // A negative scale, which a single nonzero importance can cause, is a byte with its upper bits set: they overwrite
    // the minimum.
    let scales: [u8; 16] = std::array::from_fn(|j| scale_codes[j] | min_codes[j] << 4);

    let mut codes = [0; SUPER];
    for (j, (codes, x_j)) in codes.as_chunks_mut::<16>().0.iter_mut().zip(x.as_chunks::<16>().0).enumerate() {
        let sub_d = scale(d) * f32::from(scales[j] & 15);
        if sub_d == 0.0 {
            // If the scale is zero the search's own codes are kept. This is rare, so the search is run again.
            let (fit, _) = search_sub_blocks::<L>(x, importance, j - j % L::N);
            *codes = x_j.map(|x| fit.code(L::splat(x)).lane(j % L::N) as u8);
        } else {
            requantize(x_j, scale(dmin) * f32::from(scales[j] >> 4), sub_d, [0, 3], 0, codes);
        }
    }
    Q2K { scales, qs: pack_two_bits(&codes), d, dmin }
}

/// The fits of sub-blocks `j..j + L::N` and the sums of their error weights.
fn search_sub_blocks<L: Lanes>(x: &Super, importance: Option<(&Super, f32)>, j: usize) -> (Affine<L>, L) {
    let zero = L::splat(0.0);
    let x: [L; 16] = transpose(&x[16 * j..]);
    match importance {
        None => (search::affine(&x, &x.map(L::abs), GRID), zero),
        Some((importance, sigma2)) => {
            let w = importance_weights(&x, &importance[16 * j..], sigma2);
            let total = w.iter().fold(zero, |sum, &w| sum + w);
            (search::affine(&x, &w, Grid::weighted(GRID.nmax)), total)
        }
    }
}

/// Quantizes sixteen numbers to codes 0..=15 relative to their maximum; returns the step and the codes.
fn four_bits(values: &[f32; 16]) -> (f32, [u8; 16]) {
    let max = values.iter().fold(0.0, |max, &value| if value > max { value } else { max });
    if max > 0.0 {
        let inverse = 15.0 / max;
        (max / 15.0, values.map(|value| nearest_int(inverse * value) as u8))
    } else {
        (0.0, [0; 16])
    }
}

/// The same with a search weighted by the sums of the sub-blocks' error weights.
fn four_bits_weighted(values: &[f32; 16], totals: &[f32; 16]) -> (f32, [u8; 16]) {
    let mut codes = [0.0; 16];
    let d = search::positive(values, totals, 15.0, &mut codes);
    (d, codes.map(|code| code as u8))
}
