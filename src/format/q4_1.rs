//! Q4_1: `w = d q + m`, 32 weights in 20 bytes, 5 bits per weight.
//!
//! ```text
//! byte  0..2   d    F16   scale: the range of the weights divided by 15
//! byte  2..4   m    F16   the smallest weight
//! byte  4..20  qs   4-bit codes: low nibbles are weights 0..16, high nibbles weights 16..32
//! ```
//!
//! Without importance the scale and minimum follow from the range; with importance 37 candidates are tried
//! ([`crate::search::affine`]). For weights that are not centred on zero; otherwise Q4_K is smaller and at least as
//! good.
//! Source: ggml `quantize_row_q4_1_ref`, `quantize_row_q4_1_impl`, `dequantize_row_q4_1`.

use super::block::{BlockFormat, GroupEncoder, finite_f16, importance_weights, transpose};
use super::elementwise;
use super::super_block::scale;
use crate::half::f16_from_f32;
use crate::lanes::Lanes;
use crate::search::{self, Grid};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// One block of Q4_1.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Q4_1 {
    d: [u8; 2],
    m: [u8; 2],
    qs: [u8; 16],
}

impl BlockFormat for Q4_1 {
    const ID: u32 = 3;
    const NAME: &'static str = "Q4_1";
    const WEIGHTS: usize = 32;

    fn decode(&self, out: &mut [f32]) {
        let (d, m, (low, high)) = (scale(self.d), scale(self.m), out.split_at_mut(16));
        elementwise::decode_affine(&elementwise::each(&self.qs, |q| q & 15), d, m, low);
        elementwise::decode_affine(&elementwise::each(&self.qs, |q| q >> 4), d, m, high);
    }

    fn is_valid(&self) -> bool {
        finite_f16(self.d) && finite_f16(self.m)
    }
}

impl GroupEncoder for Q4_1 {
    const WEIGHS_BY_ROW: bool = true;

    fn encode_group<L: Lanes>(weights: &[f32], blocks: &mut [Self]) {
        for (block, x) in blocks.iter_mut().zip(weights.as_chunks().0) {
            let (min, range) = elementwise::min_and_range::<L>(x);
            let d = range / 15.0;
            let (origin, inverse, half) = (L::splat(min), L::splat(elementwise::inverse(d)), L::splat(0.5));
            let qs = elementwise::nibble_codes(x, |x: L| ((x - origin) * inverse + half).trunc().min(L::splat(15.0)));
            block.fill(d, min, qs);
        }
    }

    fn encode_group_weighted<L: Lanes>(weights: &[f32], importance: &[f32], sigma2: f32, blocks: &mut [Self]) {
        let x: [L; 32] = transpose(weights);
        let w = importance_weights(&x, importance, sigma2);
        let fit = search::affine(&x, &w, Grid::weighted(15.0));
        let codes = x.map(|x| fit.code(x));
        for (lane, block) in blocks.iter_mut().enumerate() {
            block.fill(
                fit.scale.lane(lane),
                fit.min.lane(lane),
                elementwise::nibbles(&codes.map(|q| q.int(lane) as u8)),
            );
        }
    }
}

impl Q4_1 {
    fn fill(&mut self, d: f32, m: f32, qs: [u8; 16]) {
        self.d = f16_from_f32(d).to_le_bytes();
        self.m = f16_from_f32(m).to_le_bytes();
        self.qs = qs;
    }
}
