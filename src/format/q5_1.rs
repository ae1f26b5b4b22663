//! Q5_1: `w = d q + m`, 32 weights in 24 bytes, 6 bits per weight.
//!
//! ```text
//! byte  0..2   d    F16   scale: the range of the weights divided by 31
//! byte  2..4   m    F16   the smallest weight
//! byte  4..8   qh   bit j is the fifth bit of weight j
//! byte  8..24  qs   lower four bits: low nibbles are weights 0..16, high nibbles weights 16..32
//! ```
//!
//! Without importance the scale and minimum follow from the range; with importance 37 candidates are tried
//! ([`crate::search::affine`]). Replaces Q5_K for rows that are not a multiple of 256; Q6_K is better where it can be
//! used.
//! Source: ggml `quantize_row_q5_1_ref`, `quantize_row_q5_1_impl`, `dequantize_row_q5_1`.

use super::block::{BlockFormat, GroupEncoder, finite_f16, importance_weights, transpose};
use super::elementwise;
use super::super_block::scale;
use crate::half::f16_from_f32;
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
        let d = scale(self.d);
        let m = scale(self.m);
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
    const WEIGHS_BY_ROW: bool = true;

    fn encode_group<L: Lanes>(weights: &[f32], blocks: &mut [Self]) {
        for (block, x) in blocks.iter_mut().zip(weights.as_chunks().0) {
            let (min, range) = elementwise::min_and_range::<L>(x);
            let d = range / 31.0;
            let (origin, inverse, half) = (L::splat(min), L::splat(elementwise::inverse(d)), L::splat(0.5));
            let codes = elementwise::codes(x, |x: L| ((x - origin) * inverse + half).trunc());
            block.fill(d, min, &codes);
        }
    }

    fn encode_group_weighted<L: Lanes>(weights: &[f32], importance: &[f32], sigma2: f32, blocks: &mut [Self]) {
        let x: [L; 32] = transpose(weights);
        let w = importance_weights(&x, importance, sigma2);
        let fit = search::affine(&x, &w, Grid::weighted(31.0));
        let codes = x.map(|x| fit.code(x));
        for (lane, block) in blocks.iter_mut().enumerate() {
            block.fill(fit.scale.lane(lane), fit.min.lane(lane), &codes.map(|q| q.int(lane) as u8));
        }
    }
}

impl Q5_1 {
    fn fill(&mut self, d: f32, m: f32, codes: &[u8; 32]) {
        self.d = f16_from_f32(d).to_le_bytes();
        self.m = f16_from_f32(m).to_le_bytes();
        self.qh = elementwise::fifth_bits(codes);
        self.qs = elementwise::nibbles(codes);
    }
}
