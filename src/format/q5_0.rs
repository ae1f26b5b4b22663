//! Q5_0: `w = d (q - 16)`, 32 weights in 22 bytes, 5.5 bits per weight.
//!
//! ```text
//! byte  0..2   d    F16   scale: the weight of largest magnitude, with its sign, divided by -16
//! byte  2..6   qh   bit j is the fifth bit of weight j
//! byte  6..22  qs   lower four bits: low nibbles are weights 0..16, high nibbles weights 16..32
//! ```
//!
//! Without importance the scale follows from the largest weight; with importance nineteen candidate scales are tried
//! ([`crate::search::symmetric`]). Replaces Q4_K for rows that are not a multiple of 256; Q5_K has the same size and
//! less error.
//! Source: ggml `quantize_row_q5_0_ref`, `quantize_row_q5_0_impl`, `dequantize_row_q5_0`.

use super::block::{BlockFormat, GroupEncoder, finite_f16, importance_weights, transpose};
use super::elementwise;
use super::super_block::scale;
use crate::half::f16_from_f32;
use crate::lanes::Lanes;
use crate::search;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// One block of Q5_0.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Q5_0 {
    d: [u8; 2],
    qh: [u8; 4],
    qs: [u8; 16],
}

impl BlockFormat for Q5_0 {
    const ID: u32 = 6;
    const NAME: &'static str = "Q5_0";
    const WEIGHTS: usize = 32;

    fn decode(&self, out: &mut [f32]) {
        let d = scale(self.d);
        let qh = u32::from_le_bytes(self.qh);
        let (low, high) = out.split_at_mut(16);
        for (j, q) in self.qs.into_iter().enumerate() {
            low[j] = (i32::from(q & 15) + (qh >> j << 4 & 16) as i32 - 16) as f32 * d;
            high[j] = (i32::from(q >> 4) + (qh >> (j + 12) & 16) as i32 - 16) as f32 * d;
        }
    }

    fn is_valid(&self) -> bool {
        finite_f16(self.d)
    }
}

impl GroupEncoder for Q5_0 {
    const WEIGHS_BY_ROW: bool = true;

    fn encode_group<L: Lanes>(weights: &[f32], blocks: &mut [Self]) {
        for (block, x) in blocks.iter_mut().zip(weights.as_chunks().0) {
            let d = elementwise::signed_max::<L>(x) / -16.0;
            let inverse = L::splat(elementwise::inverse(d));
            // C's MIN(31, (int8_t)(x * id + 16.5)): truncation, so ties round up.
            let code = |x: L| (x * inverse + L::splat(16.5)).trunc().min(L::splat(31.0));
            block.fill(d, &elementwise::codes(x, code));
        }
    }

    fn encode_group_weighted<L: Lanes>(weights: &[f32], importance: &[f32], sigma2: f32, blocks: &mut [Self]) {
        let x: [L; 32] = transpose(weights);
        let w = importance_weights(&x, importance, sigma2);
        let mut codes = [L::splat(0.0); 32];
        let d = search::symmetric(&x, &w, 16.0, &mut codes);
        for (lane, block) in blocks.iter_mut().enumerate() {
            block.fill(d.lane(lane), &codes.map(|q| q.int(lane) as u8));
        }
    }
}

impl Q5_0 {
    fn fill(&mut self, d: f32, codes: &[u8; 32]) {
        self.d = f16_from_f32(d).to_le_bytes();
        self.qh = elementwise::fifth_bits(codes);
        self.qs = elementwise::nibbles(codes);
    }
}
