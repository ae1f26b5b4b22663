//! IQ2_S: `w = d (s + 1/2) / 4 * sign * level`, 256 weights in 82 bytes, 2.5625 bits per weight.
//!
//! ```text
//! byte  0..2    d        F16   scale of the super-block
//! byte  2..34   qs       low 8 bits of the index into the grid of 1024 points, one for 8 weights each
//! byte 34..66   signs    one bit per weight
//! byte 66..74   qh       high 2 bits of the indices, the first in the low bits
//! byte 74..82   scales   4-bit s of 16 weights each, low nibbles first
//! ```
//!
//! Has the largest of the two-bit grids and stores every sign. The only format with a two-bit grid that ggml writes
//! without an importance matrix. Q2_K has about the same size, is faster to encode and decode, and is less accurate.
//! Source: ggml `quantize_row_iq2_s_impl`, `dequantize_row_iq2_s`.

use super::block::{BlockEncoder, BlockFormat, finite_f16};
use super::grid::{self as grid, Refine, Rules, Start, write_signed};
use super::super_block::{Super, each_super_block, scale as f16};
use crate::lanes::Lanes;
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

/// One block of IQ2_S.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Iq2S {
    d: [u8; 2],
    qs: [u8; 32],
    signs: [u8; 32],
    qh: [u8; 8],
    scales: [u8; 8],
}

impl BlockFormat for Iq2S {
    const ID: u32 = 22;
    const NAME: &'static str = "IQ2_S";
    const WEIGHTS: usize = 256;

    fn decode(&self, out: &mut [f32]) {
        let levels = &*grid::IQ2_S;
        let d = f16(self.d);
        let fours = self.qs.as_chunks::<4>().0.iter().zip(self.signs.as_chunks::<4>().0);
        let subs = fours.zip(self.qh.iter().zip(&self.scales)).zip(out.as_chunks_mut::<32>().0);
        for (((qs, signs), (qh, s)), out) in subs {
            let scales = [s & 15, s >> 4].map(|s| d * (0.5 + f32::from(s)) * 0.25);
            for (k, out) in out.as_chunks_mut::<8>().0.iter_mut().enumerate() {
                let high = usize::from(qh >> (2 * k) & 3);
                write_signed(out, scales[k / 2], &levels[usize::from(qs[k]) | high << 8], signs[k]);
            }
        }
    }

    fn is_valid(&self) -> bool {
        finite_f16(self.d)
    }
}

const RULES: Rules = Rules {
    even_signs: false,
    plain: |sigma2, x| 0.25 * sigma2 + x * x,
    sigma2: 2.0,
    epsilon: 1e-8,
    candidates: 9,
    step: 0.1,
    start: Start::Largest,
    refine: Refine::OffGrid,
    fudge: 0.9875,
};

impl BlockEncoder for Iq2S {
    fn encode<L: Lanes>(weights: &[f32], blocks: &mut [Self]) {
        each_super_block(weights, None, blocks, encode::<L>);
    }

    fn encode_weighted<L: Lanes>(row: &[f32], importance: &[f32], _mean_square: f32, blocks: &mut [Self]) {
        each_super_block(row, Some(importance), blocks, encode::<L>);
    }
}

fn encode<L: Lanes>(x: &Super, importance: Option<&Super>) -> Iq2S {
    let mut block = Iq2S::new_zeroed();
    let Some(codes) = grid::SEARCH_IQ2_S.encode::<L, 16>(&RULES, x, importance) else {
        block.d = grid::NAN;
        return block;
    };
    block.d = codes.d;
    block.signs = codes.signs;
    block.scales = std::array::from_fn(|i| codes.scales[2 * i] | codes.scales[2 * i + 1] << 4);
    for (i, &point) in codes.points[..32].iter().enumerate() {
        block.qs[i] = point as u8;
        block.qh[i / 4] |= ((point >> 8) << (i % 4 * 2)) as u8;
    }
    block
}
