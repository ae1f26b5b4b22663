//! IQ3_S: `w = d (2 s + 1) * sign * level`, 256 weights in 110 bytes, 3.4375 bits per weight.
//!
//! ```text
//! byte   0..2    d        F16   scale of the super-block
//! byte   2..66   qs       low 8 bits of the index into the grid of 512 points, one for 4 weights each
//! byte  66..74   qh       high bit of the indices, the first in the low bit
//! byte  74..106  signs    one bit per weight
//! byte 106..110  scales   4-bit s of 32 weights each, low nibbles first
//! ```
//!
//! A point has four odd levels from 1 to 15; every sign is stored. The same size as Q3_K, more accurate and slower to
//! encode. Usable without an importance matrix, better with one.
//! Source: ggml `quantize_row_iq3_s_impl`, `dequantize_row_iq3_s`.

use super::block::{BlockEncoder, BlockFormat, finite_f16};
use super::grid::{self as grid, Refine, Rules, Start, write_signed};
use super::super_block::{Super, each_super_block, scale as f16};
use crate::lanes::Lanes;
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

/// One block of IQ3_S.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Iq3S {
    d: [u8; 2],
    qs: [[u8; 8]; 8],
    qh: [u8; 8],
    signs: [[u8; 4]; 8],
    scales: [u8; 4],
}

impl BlockFormat for Iq3S {
    const ID: u32 = 21;
    const NAME: &'static str = "IQ3_S";
    const WEIGHTS: usize = 256;

    fn decode(&self, out: &mut [f32]) {
        let levels = &*grid::IQ3_S;
        let d = f16(self.d);
        for (ib, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
            let s = self.scales[ib / 2] >> (ib % 2 * 4) & 15;
            let scale = d * f32::from(1 + 2 * s);
            let point = |k: usize| &levels[usize::from(self.qs[ib][k]) | usize::from(self.qh[ib] >> k & 1) << 8];
            for (k, out) in out.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                write_signed(out, scale, point(k), self.signs[ib][k / 2] >> (k % 2 * 4));
            }
        }
    }

    fn is_valid(&self) -> bool {
        finite_f16(self.d)
    }
}

const RULES: Rules = Rules {
    even_signs: false,
    plain: |_, x| x * x,
    sigma2: 2.0,
    epsilon: f32::from_bits(1),
    candidates: 9,
    step: 0.2,
    start: Start::Largest,
    refine: Refine::AllIfOffGrid,
    fudge: 1.033,
};

impl BlockEncoder for Iq3S {
    fn encode<L: Lanes>(weights: &[f32], blocks: &mut [Self]) {
        each_super_block(weights, None, blocks, encode::<L>);
    }

    fn encode_weighted<L: Lanes>(row: &[f32], importance: &[f32], _mean_square: f32, blocks: &mut [Self]) {
        each_super_block(row, Some(importance), blocks, encode::<L>);
    }
}

fn encode<L: Lanes>(x: &Super, importance: Option<&Super>) -> Iq3S {
    let mut block = Iq3S::new_zeroed();
    let Some(codes) = grid::SEARCH_IQ3_S.encode::<L, 32>(&RULES, x, importance) else {
        block.d = grid::NAN;
        return block;
    };
    block.d = codes.d;
    block.scales = std::array::from_fn(|i| codes.scales[2 * i] | codes.scales[2 * i + 1] << 4);
    // The reference advances the low bits and signs of a sub-block only if it is not all zero, but always advances the
    // high bits. After 32 zeros the following ones are therefore shifted and decode to different weights. Those are the
    // reference's bytes, so they are reproduced here.
    for (place, i) in (0..8).filter(|&i| codes.live[i]).enumerate() {
        block.signs[place] = std::array::from_fn(|k| codes.signs[4 * i + k]);
        for (k, &point) in codes.points[8 * i..8 * (i + 1)].iter().enumerate() {
            block.qs[place][k] = point as u8;
            block.qh[i] |= ((point >> 8) << k) as u8;
        }
    }
    block
}
