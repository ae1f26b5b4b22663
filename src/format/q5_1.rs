//! Q5_1: `w = d q + m`, 32 weights in 24 bytes, 6 bits per weight.
//!
//! ```text
//! byte  0..2   d    F16   scale: the range of the weights divided by 31
//! byte  2..4   m    F16   the smallest weight
//! byte  4..8   qh   bit j is the fifth bit of weight j
//! byte  8..24  qs   lower four bits: low nibbles are weights 0..16, high nibbles weights 16..32
//! ```
//!
//! Without importance scale and minimum follow from the range; with it, 37 candidates are searched
//! ([`crate::search::affine`]). What Q5_K becomes where a row is no multiple of 256; Q6_K is better where it fits.
//! Source: ggml `quantize_row_q5_1_ref`, `quantize_row_q5_1_impl`, `dequantize_row_q5_1`.

use super::block::{BlockFormat, GroupEncoder, finite_f16, importance_weights, pack_fifth_bits, transpose};
use crate::half::{f16_from_f32, f16_to_f32};
use crate::lanes::Lanes;
use crate::search::{self, Grid};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// One block of Q5_1.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Q5_1 {
    d: [u8; 2],
    m: [u8; 2],
    qh: [u8; 4],
    qs: [u8; 16],
}

impl BlockFormat for Q5_1 {
    const ID: u32 = 7;
    const NAME: &'static str = "Q5_1";
    const WEIGHTS: usize = 32;

    fn decode(&self, out: &mut [f32]) {
        let d = f16_to_f32(u16::from_le_bytes(self.d));
        let m = f16_to_f32(u16::from_le_bytes(self.m));
        let qh = u32::from_le_bytes(self.qh);
        let (low, high) = out.split_at_mut(16);
        for (j, q) in self.qs.into_iter().enumerate() {
            low[j] = (u32::from(q & 15) | qh >> j << 4 & 16) as f32 * d + m;
            high[j] = (u32::from(q >> 4) | qh >> (j + 12) & 16) as f32 * d + m;
        }
    }

    fn is_valid(&self) -> bool {
        finite_f16(self.d) && finite_f16(self.m)
    }
}

impl GroupEncoder for Q5_1 {
    fn encode_group<L: Lanes>(weights: &[f32], blocks: &mut [Self]) {
        let x: [L; 32] = transpose(weights);
        let (min, max) = search::range(&x);
        let d = (max - min) / L::splat(31.0);
        let inverse = search::reciprocal_or_zero(d);
        let codes = x.map(|x| ((x - min) * inverse + L::splat(0.5)).trunc_or_zero());
        pack(d, min, &codes, blocks);
    }

    fn encode_group_weighted<L: Lanes>(weights: &[f32], importance: &[f32], sigma2: f32, blocks: &mut [Self]) {
        let x: [L; 32] = transpose(weights);
        let w = importance_weights(&x, importance, sigma2);
        let fit = search::affine(&x, &w, Grid::weighted(31.0));
        pack(fit.scale, fit.min, &x.map(|x| fit.code(x)), blocks);
    }
}

fn pack<L: Lanes>(d: L, m: L, codes: &[L; 32], blocks: &mut [Q5_1]) {
    for (lane, block) in blocks.iter_mut().enumerate() {
        block.d = f16_from_f32(d.lane(lane)).to_le_bytes();
        block.m = f16_from_f32(m.lane(lane)).to_le_bytes();
        (block.qh, block.qs) = pack_fifth_bits(codes.map(|q| q.int(lane) as u8));
    }
}
