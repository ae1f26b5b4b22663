//! Q5_0: `w = d (q - 16)`, 32 weights in 22 bytes, 5.5 bits per weight.
//!
//! ```text
//! byte  0..2   d    F16   scale: the weight of largest magnitude, sign and all, divided by -16
//! byte  2..6   qh   bit j is the fifth bit of weight j
//! byte  6..22  qs   lower four bits: low nibbles are weights 0..16, high nibbles weights 16..32
//! ```
//!
//! Without importance the scale follows from the largest weight; with it, nineteen candidate scales are searched
//! ([`crate::search::symmetric`]). What Q4_K becomes where a row is no multiple of 256; Q5_K holds the same bits better.
//! Source: ggml `quantize_row_q5_0_ref`, `quantize_row_q5_0_impl`, `dequantize_row_q5_0`.

use super::block::{BlockFormat, GroupEncoder, finite_f16, importance_weights, pack_fifth_bits, transpose};
use crate::half::{f16_from_f32, f16_to_f32};
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
        let d = f16_to_f32(u16::from_le_bytes(self.d));
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
    fn encode_group<L: Lanes>(weights: &[f32], blocks: &mut [Self]) {
        let x: [L; 32] = transpose(weights);
        let d = search::signed_max(&x) / L::splat(-16.0);
        let inverse = search::reciprocal_or_zero(d);
        // As Q4_0: ties go up, and what no int holds becomes 0.
        let codes = x.map(|x| (x * inverse + L::splat(16.5)).trunc_or_zero().min(L::splat(31.0)));
        pack(d, &codes, blocks);
    }

    fn encode_group_weighted<L: Lanes>(weights: &[f32], importance: &[f32], sigma2: f32, blocks: &mut [Self]) {
        let x: [L; 32] = transpose(weights);
        let w = importance_weights(&x, importance, sigma2);
        let mut codes = [L::splat(0.0); 32];
        let d = search::symmetric(&x, &w, 16.0, &mut codes);
        pack(d, &codes, blocks);
    }
}

fn pack<L: Lanes>(d: L, codes: &[L; 32], blocks: &mut [Q5_0]) {
    for (lane, block) in blocks.iter_mut().enumerate() {
        block.d = f16_from_f32(d.lane(lane)).to_le_bytes();
        (block.qh, block.qs) = pack_fifth_bits(codes.map(|q| q.int(lane) as u8));
    }
}
