//! Q5_K: `w = d s q - dmin m`, 256 weights in 176 bytes, 5.5 bits per weight.
//!
//! ```text
//! byte  0..2     d       F16   step of the sub-blocks' scales
//! byte  2..4     dmin    F16   step of the sub-blocks' minimums
//! byte  4..16   scales  eight six-bit scales s and eight six-bit minimums m (layout in k_affine.rs)
//! byte 16..48    qh      bit j of byte l is the fifth bit of weight l of sub-block j
//! byte 48..176   qs      lower four bits: bytes 32 i..32 i + 32 hold sub-block 2 i in low, 2 i + 1 in high nibbles
//! ```
//!
//! Q4_K with one more bit: eight sub-blocks of 32 weights, with 16 candidates for each ([`crate::search::affine`]) or
//! 37 with importance. Nearly lossless for most models; Q6_K is closer for one more bit.
//! Source: ggml `quantize_row_q5_K_ref`, `quantize_row_q5_K_impl`, `dequantize_row_q5_K`.

use super::block::{BlockEncoder, BlockFormat, finite_f16};
use super::elementwise;
use super::k_affine::{self, Rules, scale_and_min};
use super::super_block::{SUPER, Super, each_super_block, scale};
use crate::lanes::Lanes;
use crate::search::Grid;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// One super-block of Q5_K.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Q5K {
    d: [u8; 2],
    dmin: [u8; 2],
    scales: [u8; 12],
    qh: [u8; 32],
    qs: [[u8; 32]; 4],
}

const RULES: Rules =
    Rules { grid: Grid { nmax: 31.0, first: -0.5, step: 0.1, steps: 15, absolute: false }, clamps_searched: true };

impl BlockFormat for Q5K {
    const ID: u32 = 13;
    const NAME: &'static str = "Q5_K";
    const WEIGHTS: usize = SUPER;

    fn decode(&self, out: &mut [f32]) {
        let (d, dmin) = (scale(self.d), scale(self.dmin));
        let step = |j| {
            let (scale, min) = scale_and_min(&self.scales, j);
            (d * f32::from(scale), -(dmin * f32::from(min)))
        };
        for (i, (out, qs)) in out.as_chunks_mut::<64>().0.iter_mut().zip(&self.qs).enumerate() {
            let ((low, low_min), (high, high_min)) = (step(2 * i), step(2 * i + 1));
            let fifth = |bit: u8| elementwise::each(&self.qh, |h| if h & bit == 0 { 0 } else { 16 });
            let codes = elementwise::or(&elementwise::each(qs, |q| q & 15), &fifth(1 << (2 * i)));
            elementwise::decode_affine(&codes, low, low_min, &mut out[..32]);
            let codes = elementwise::or(&elementwise::each(qs, |q| q >> 4), &fifth(2 << (2 * i)));
            elementwise::decode_affine(&codes, high, high_min, &mut out[32..]);
        }
    }

    fn is_valid(&self) -> bool {
        finite_f16(self.d) && finite_f16(self.dmin)
    }
}

impl BlockEncoder for Q5K {
    fn encode<L: Lanes>(weights: &[f32], blocks: &mut [Self]) {
        each_super_block(weights, None, blocks, encode::<L>);
    }

    fn encode_weighted<L: Lanes>(row: &[f32], importance: &[f32], _mean_square: f32, blocks: &mut [Self]) {
        each_super_block(row, Some(importance), blocks, encode::<L>);
    }
}

fn encode<L: Lanes>(x: &Super, importance: Option<&Super>) -> Q5K {
    let k_affine::Encoded { d, dmin, scales, codes } = k_affine::encode::<L>(x, importance, RULES);
    let (sub_blocks, _) = codes.as_chunks();
    let mut qh = [0; 32];
    for (j, codes) in sub_blocks.iter().enumerate() {
        elementwise::mark(&mut qh, 1 << j, codes, 16);
    }
    let mut qs = [[0; 32]; 4];
    for (qs, [low, high]) in qs.iter_mut().zip(sub_blocks.as_chunks().0) {
        *qs = elementwise::pair(low, high);
    }
    Q5K { d, dmin, scales, qh, qs }
}
