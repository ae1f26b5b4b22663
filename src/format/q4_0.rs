//! Q4_0: `w = d (q - 8)`, 32 weights in 18 bytes, 4.5 bits per weight.
//!
//! ```text
//! byte  0..2   d    F16   scale: the weight of largest magnitude, sign and all, divided by -8
//! byte  2..18  qs   4-bit codes: low nibbles are weights 0..16, high nibbles weights 16..32
//! ```
//!
//! Without importance the scale follows from the largest weight; with it, nineteen candidate scales are searched
//! ([`crate::search::symmetric`]). Good as a fast, simple 4-bit format; Q4_K holds the same bits with less error.
//! Source: ggml `quantize_row_q4_0_ref`, `quantize_row_q4_0_impl`, `dequantize_row_q4_0`.

use super::block::{BlockFormat, GroupEncoder, finite_f16, importance_weights, transpose};
use crate::half::{f16_from_f32, f16_to_f32};
use crate::lanes::Lanes;
use crate::search;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// One block of Q4_0.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Q4_0 {
    d: [u8; 2],
    qs: [u8; 16],
}

impl BlockFormat for Q4_0 {
    const ID: u32 = 2;
    const NAME: &'static str = "Q4_0";
    const WEIGHTS: usize = 32;

    fn decode(&self, out: &mut [f32]) {
        let d = f16_to_f32(u16::from_le_bytes(self.d));
        let (low, high) = out.split_at_mut(16);
        for (j, q) in self.qs.into_iter().enumerate() {
            low[j] = (i32::from(q & 15) - 8) as f32 * d;
            high[j] = (i32::from(q >> 4) - 8) as f32 * d;
        }
    }

    fn is_valid(&self) -> bool {
        finite_f16(self.d)
    }
}

impl GroupEncoder for Q4_0 {
    fn encode_group<L: Lanes>(weights: &[f32], blocks: &mut [Self]) {
        let x: [L; 32] = transpose(weights);
        let d = search::signed_max(&x) / L::splat(-8.0);
        let inverse = search::reciprocal_or_zero(d);
        // C's MIN(15, (int8_t)(x * id + 8.5)): truncation, so ties go up; what no int holds (id infinite) becomes 0.
        let codes = x.map(|x| (x * inverse + L::splat(8.5)).trunc_or_zero().min(L::splat(15.0)));
        pack(d, &codes, blocks);
    }

    fn encode_group_weighted<L: Lanes>(weights: &[f32], importance: &[f32], sigma2: f32, blocks: &mut [Self]) {
        let x: [L; 32] = transpose(weights);
        let w = importance_weights(&x, importance, sigma2);
        let mut codes = [L::splat(0.0); 32];
        let d = search::symmetric(&x, &w, 8.0, &mut codes);
        pack(d, &codes, blocks);
    }
}

fn pack<L: Lanes>(d: L, codes: &[L; 32], blocks: &mut [Q4_0]) {
    let qs: [L; 16] = std::array::from_fn(|j| codes[j] + codes[j + 16] * L::splat(16.0));
    for (lane, block) in blocks.iter_mut().enumerate() {
        block.d = f16_from_f32(d.lane(lane)).to_le_bytes();
        block.qs = qs.map(|q| q.int(lane) as u8);
    }
}
