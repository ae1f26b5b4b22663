//! Q4_0: `w = d (q - 8)`, 32 weights in 18 bytes, 4.5 bits per weight.
//!
//! ```text
//! byte  0..2   d    F16   scale: the weight of largest magnitude, with its sign, divided by -8
//! byte  2..18  qs   4-bit codes: low nibbles are weights 0..16, high nibbles weights 16..32
//! ```
//!
//! Without importance the scale follows from the largest weight; with importance nineteen candidate scales are tried
//! ([`crate::search::symmetric`]). A fast, simple 4-bit format; Q4_K has the same size and less error.
//! Source: ggml `quantize_row_q4_0_ref`, `quantize_row_q4_0_impl`, `dequantize_row_q4_0`.

use super::block::{BlockFormat, GroupEncoder, finite_f16, importance_weights, transpose};
use super::elementwise;
use super::super_block::scale;
use crate::half::f16_from_f32;
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
        let (d, (low, high)) = (scale(self.d), out.split_at_mut(16));
        elementwise::decode(&elementwise::less(&elementwise::each(&self.qs, |q| q & 15), 8), d, low);
        elementwise::decode(&elementwise::less(&elementwise::each(&self.qs, |q| q >> 4), 8), d, high);
    }

    fn is_valid(&self) -> bool {
        finite_f16(self.d)
    }
}

impl GroupEncoder for Q4_0 {
    const WEIGHS_BY_ROW: bool = true;

    fn encode_group<L: Lanes>(weights: &[f32], blocks: &mut [Self]) {
        for (block, x) in blocks.iter_mut().zip(weights.as_chunks().0) {
            let d = elementwise::signed_max::<L>(x) / -8.0;
            let inverse = L::splat(elementwise::inverse(d));
            // C's MIN(15, (int8_t)(x * id + 8.5)): truncation, so ties round up.
            let code = |x: L| (x * inverse + L::splat(8.5)).trunc().min(L::splat(15.0));
            block.fill(d, elementwise::nibble_codes(x, code));
        }
    }

    fn encode_group_weighted<L: Lanes>(weights: &[f32], importance: &[f32], sigma2: f32, blocks: &mut [Self]) {
        let x: [L; 32] = transpose(weights);
        let w = importance_weights(&x, importance, sigma2);
        let mut codes = [L::splat(0.0); 32];
        let d = search::symmetric(&x, &w, 8.0, &mut codes);
        for (lane, block) in blocks.iter_mut().enumerate() {
            block.fill(d.lane(lane), elementwise::nibbles(&codes.map(|q| q.int(lane) as u8)));
        }
    }
}

impl Q4_0 {
    fn fill(&mut self, d: f32, qs: [u8; 16]) {
        self.d = f16_from_f32(d).to_le_bytes();
        self.qs = qs;
    }
}
