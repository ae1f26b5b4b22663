//! Q6_K: `w = d s (q - 32)`, 256 weights in 210 bytes, 6.5625 bits per weight.
//!
//! ```text
//! byte   0..128  ql      lower four bits: byte 64 i + l holds weight 128 i + l low and 128 i + l + 64 high, l in 0..64
//! byte 128..192  qh      upper two bits: byte 32 i + l holds weights 128 i + l + 0, 32, 64, 96, the first lowest
//! byte 192..208  scales  i8    one scale s per sub-block of 16 weights
//! byte 208..210  d       F16   step of the scales
//! ```
//!
//! Sixteen sub-blocks of 16 weights, with nineteen candidate scales for each ([`crate::search::symmetric`]). Nearly
//! lossless; presets use it for output tensors. Importance weights the squared error directly.
//! Source: ggml `quantize_row_q6_K_ref`, `quantize_row_q6_K_impl`, `dequantize_row_q6_K`.

use super::block::{BlockEncoder, BlockFormat, finite_f16, transpose};
use super::elementwise;
use super::super_block::{SUPER, Super, each_super_block, pack_two_bits, put, requantize, scale, two_bits};
use crate::half::f16_from_f32;
use crate::lanes::Lanes;
use crate::round::nearest_int;
use crate::search::{self, GROUP_MAX_EPS, signed_max};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

/// One super-block of Q6_K.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Q6K {
    ql: [[u8; 64]; 2],
    qh: [[u8; 32]; 2],
    scales: [i8; 16],
    d: [u8; 2],
}

impl BlockFormat for Q6K {
    const ID: u32 = 14;
    const NAME: &'static str = "Q6_K";
    const WEIGHTS: usize = SUPER;

    fn decode(&self, out: &mut [f32]) {
        let d = scale(self.d);
        for (half, out) in out.as_chunks_mut::<128>().0.iter_mut().enumerate() {
            let ([even, odd], _) = self.ql[half].as_chunks::<32>() else { return };
            let low = [
                elementwise::each(even, |q| q & 15),
                elementwise::each(odd, |q| q & 15),
                elementwise::each(even, |q| q >> 4),
                elementwise::each(odd, |q| q >> 4),
            ];
            for (quarter, high) in two_bits(&self.qh[half]).iter().enumerate() {
                let codes = elementwise::or(&low[quarter], &elementwise::each(high, |h| h << 4));
                for (side, codes) in codes.as_chunks::<16>().0.iter().enumerate() {
                    let j = 2 * quarter + side;
                    let step = d * f32::from(self.scales[8 * half + j]);
                    elementwise::decode(&elementwise::less(codes, 32), step, &mut out[16 * j..][..16]);
                }
            }
        }
    }

    fn is_valid(&self) -> bool {
        finite_f16(self.d)
    }
}

impl BlockEncoder for Q6K {
    fn encode<L: Lanes>(weights: &[f32], blocks: &mut [Self]) {
        each_super_block(weights, None, blocks, encode::<L>);
    }

    fn encode_weighted<L: Lanes>(row: &[f32], importance: &[f32], _mean_square: f32, blocks: &mut [Self]) {
        each_super_block(row, Some(importance), blocks, encode::<L>);
    }
}

fn encode<L: Lanes>(x: &Super, importance: Option<&Super>) -> Q6K {
    let mut scales = [0.0; 16];
    for j in (0..16).step_by(L::N) {
        let fit = search_sub_blocks::<L>(x, importance, j, &mut [L::splat(0.0); 16]);
        put(fit, &mut scales, j);
    }
    let max = signed_max(&scales);
    if max.abs() < GROUP_MAX_EPS {
        return Q6K::new_zeroed();
    }
    let inverse = -128.0 / max;
    let d = f16_from_f32(1.0 / inverse).to_le_bytes();
    let scales = scales.map(|scale| nearest_int(inverse * scale).min(127) as i8);

    let mut codes = [0; SUPER];
    for (j, (codes, x_j)) in codes.as_chunks_mut::<16>().0.iter_mut().zip(x.as_chunks::<16>().0).enumerate() {
        let sub_d = scale(d) * f32::from(scales[j]);
        if sub_d == 0.0 {
            // If the scale is zero the search's own codes are kept. This is rare, so the search is run again.
            let mut kept = [L::splat(0.0); 16];
            search_sub_blocks::<L>(x, importance, j - j % L::N, &mut kept);
            *codes = kept.map(|code| code.lane(j % L::N) as u8);
        } else {
            requantize(x_j, 0.0, sub_d, [-32, 31], 32, codes);
        }
    }
    let mut ql = [[0; 64]; 2];
    for (ql, codes) in ql.iter_mut().zip(codes.as_chunks::<128>().0) {
        let (low, high) = codes.split_at(64);
        for ((ql, low), high) in ql.iter_mut().zip(low).zip(high) {
            *ql = low & 15 | high << 4;
        }
    }
    let qh = pack_two_bits(&elementwise::each(&codes, |code| code >> 4));
    Q6K { ql, qh, scales, d }
}

/// The scales of sub-blocks `j..j + L::N`; writes their codes.
fn search_sub_blocks<L: Lanes>(x: &Super, importance: Option<&Super>, j: usize, codes: &mut [L; 16]) -> L {
    let x: [L; 16] = transpose(&x[16 * j..]);
    let w = importance.map_or_else(|| x.map(|x| x * x), |importance| transpose(&importance[16 * j..]));
    search::symmetric(&x, &w, 32.0, codes)
}
