//! Q4_K: `w = d s q - dmin m`, 256 weights in 144 bytes, 4.5 bits per weight.
//!
//! ```text
//! byte  0..2     d       F16   step of the sub-blocks' scales
//! byte  2..4     dmin    F16   step of the sub-blocks' minimums
//! byte  4..16   scales  eight six-bit scales s and eight six-bit minimums m (layout in k_affine.rs)
//! byte 16..144   qs      4-bit codes: bytes 32 i..32 i + 32 hold sub-block 2 i in low and 2 i + 1 in high nibbles
//! ```
//!
//! Eight sub-blocks of 32 weights. For each, the encoder tries 21 candidates ([`crate::search::affine`]) or, with
//! importance, 37 candidates; with importance the scales themselves are searched too ([`crate::search::positive`]). The
//! usual choice for four bits. A sub-block with weights below about 1e-7 becomes zero next to one with much larger
//! weights.
//! Source: ggml `quantize_row_q4_K_ref`, `quantize_row_q4_K_impl`, `dequantize_row_q4_K`.

use super::block::{BlockEncoder, BlockFormat, finite_f16};
use super::elementwise;
use super::k_affine::{self, Rules, scale_and_min};
use super::super_block::{SUPER, Super, each_super_block, scale};
use crate::lanes::Lanes;
use crate::search::Grid;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// One super-block of Q4_K.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Q4K {
    d: [u8; 2],
    dmin: [u8; 2],
    scales: [u8; 12],
    qs: [[u8; 32]; 4],
}

const RULES: Rules =
    Rules { grid: Grid { nmax: 15.0, first: -1.0, step: 0.1, steps: 20, absolute: false }, clamps_searched: false };

impl BlockFormat for Q4K {
    const ID: u32 = 12;
    const NAME: &'static str = "Q4_K";
    const WEIGHTS: usize = SUPER;

    fn decode(&self, out: &mut [f32]) {
        let (d, dmin) = (scale(self.d), scale(self.dmin));
        let step = |j| {
            let (scale, min) = scale_and_min(&self.scales, j);
            (d * f32::from(scale), -(dmin * f32::from(min)))
        };
        for (i, (out, qs)) in out.as_chunks_mut::<64>().0.iter_mut().zip(&self.qs).enumerate() {
            let ((low, low_min), (high, high_min)) = (step(2 * i), step(2 * i + 1));
            elementwise::decode_affine(&elementwise::each(qs, |q| q & 15), low, low_min, &mut out[..32]);
            elementwise::decode_affine(&elementwise::each(qs, |q| q >> 4), high, high_min, &mut out[32..]);
        }
    }

    fn is_valid(&self) -> bool {
        finite_f16(self.d) && finite_f16(self.dmin)
    }
}

impl BlockEncoder for Q4K {
    fn encode<L: Lanes>(weights: &[f32], blocks: &mut [Self]) {
        each_super_block(weights, None, blocks, encode::<L>);
    }

    fn encode_weighted<L: Lanes>(row: &[f32], importance: &[f32], _mean_square: f32, blocks: &mut [Self]) {
        each_super_block(row, Some(importance), blocks, encode::<L>);
    }
}

fn encode<L: Lanes>(x: &Super, importance: Option<&Super>) -> Q4K {
    let k_affine::Encoded { d, dmin, scales, codes } = k_affine::encode::<L>(x, importance, RULES);
    let mut qs = [[0; 32]; 4];
    for (qs, [low, high]) in qs.iter_mut().zip(codes.as_chunks().0.as_chunks().0) {
        *qs = elementwise::pair(low, high);
    }
    Q4K { d, dmin, scales, qs }
}
