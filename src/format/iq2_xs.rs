//! IQ2_XS: `w = d (s + 1/2) / 4 * sign * level`, 256 weights in 74 bytes, 2.3125 bits per weight.
//!
//! ```text
//! byte  0..2    d        F16   scale of the super-block
//! byte  2..66   qs       u16   for each 8 weights: bits 0..9 index into the grid of 512 points, bits 9..16 seven signs
//! byte 66..74   scales   4-bit s of 16 weights each, low nibbles first
//! ```
//!
//! Like IQ2_XXS with twice as many points and scales; the eighth sign follows from the other seven. For two bits per
//! weight with an importance matrix (ggml refuses to write it without one).
//! Source: ggml `quantize_row_iq2_xs_impl`, `dequantize_row_iq2_xs`.

use super::block::{BlockEncoder, BlockFormat, finite_f16};
use super::grid::{self as grid, Refine, Rules, Start, even_signs, write_signed};
use super::super_block::{Super, each_super_block, scale as f16};
use crate::lanes::Lanes;
use crate::search::GROUP_MAX_EPS;
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

/// One block of IQ2_XS.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Iq2Xs {
    d: [u8; 2],
    qs: [[u8; 2]; 32],
    scales: [u8; 8],
}

impl BlockFormat for Iq2Xs {
    const ID: u32 = 17;
    const NAME: &'static str = "IQ2_XS";
    const WEIGHTS: usize = 256;

    fn decode(&self, out: &mut [f32]) {
        let levels = &*grid::IQ2_XS;
        let d = f16(self.d);
        let fours = self.qs.as_chunks::<4>().0.iter().zip(out.as_chunks_mut::<32>().0);
        for ((qs, out), s) in fours.zip(self.scales) {
            let scales = [s & 15, s >> 4].map(|s| d * (0.5 + f32::from(s)) * 0.25);
            for (k, (q, out)) in qs.iter().zip(out.as_chunks_mut::<8>().0).enumerate() {
                let q = u16::from_le_bytes(*q);
                write_signed(out, scales[k / 2], &levels[usize::from(q & 511)], even_signs((q >> 9) as u8));
            }
        }
    }

    fn is_valid(&self) -> bool {
        finite_f16(self.d)
    }
}

const RULES: Rules = Rules {
    even_signs: true,
    plain: |_, x| x * x,
    sigma2: 1.0,
    epsilon: GROUP_MAX_EPS,
    candidates: 9,
    step: 0.1,
    start: Start::Largest,
    refine: Refine::OffGrid,
    fudge: 1.0,
};

impl BlockEncoder for Iq2Xs {
    const NEEDS_IMPORTANCE: bool = true;

    fn encode<L: Lanes>(weights: &[f32], blocks: &mut [Self]) {
        // Unreachable through `Codec`; ggml refuses too.
        each_super_block(weights, None, blocks, |_, _| Self { d: grid::NAN, ..Self::new_zeroed() });
    }

    fn encode_weighted<L: Lanes>(row: &[f32], importance: &[f32], _mean_square: f32, blocks: &mut [Self]) {
        each_super_block(row, Some(importance), blocks, encode::<L>);
    }
}

fn encode<L: Lanes>(x: &Super, importance: Option<&Super>) -> Iq2Xs {
    let mut block = Iq2Xs::new_zeroed();
    let Some(codes) = grid::SEARCH_IQ2_XS.encode::<L, 16>(&RULES, x, importance) else {
        block.d = grid::NAN;
        return block;
    };
    block.d = codes.d;
    block.qs = std::array::from_fn(|i| (codes.points[i] | u16::from(codes.signs[i] & 127) << 9).to_le_bytes());
    block.scales = std::array::from_fn(|i| codes.scales[2 * i] | codes.scales[2 * i + 1] << 4);
    block
}
