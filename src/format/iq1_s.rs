//! IQ1_S: `w = d (2 s + 1) (level + shift)`, 256 weights in 50 bytes, 1.5625 bits per weight.
//!
//! ```text
//! byte  0..2    d    F16   scale of the super-block
//! byte  2..34   qs   low 8 bits of the index into the grid of 2048 points, one for 8 weights each
//! byte 34..50   qh   u16   for each 32 weights: bits 0..12 the high 3 bits of its four indices, bits 12..15 s,
//!                          bit 15 the shift: -1/8 if set, +1/8 if clear
//! ```
//!
//! A point has eight levels of -1, 0 or 1. The smallest format: for very large models that would not fit otherwise, and
//! only with an importance matrix (ggml refuses to write it without one).
//! Source: ggml `quantize_row_iq1_s_impl`, `dequantize_row_iq1_s`.

use super::block::{BlockEncoder, BlockFormat, finite_f16};
use super::grid::{self as grid, SHIFT, cut_whole, weigh, write_shifted};
use super::super_block::{Super, each_super_block, scale as f16};
use crate::half::f16_from_f32;
use crate::lanes::Lanes;
use crate::round::nearest_int;
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

/// One block of IQ1_S.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Iq1S {
    d: [u8; 2],
    qs: [[u8; 4]; 8],
    qh: [[u8; 2]; 8],
}

impl BlockFormat for Iq1S {
    const ID: u32 = 19;
    const NAME: &'static str = "IQ1_S";
    const WEIGHTS: usize = 256;

    fn decode(&self, out: &mut [f32]) {
        let levels = &*grid::IQ1;
        let d = f16(self.d);
        for ((qs, qh), out) in self.qs.iter().zip(self.qh).zip(out.chunks_exact_mut(32)) {
            let qh = u16::from_le_bytes(qh);
            let scale = d * f32::from(2 * (qh >> 12 & 7) + 1);
            let shift = if qh >> 15 == 1 { -SHIFT } else { SHIFT };
            for (i, (&q, out)) in qs.iter().zip(out.as_chunks_mut::<8>().0).enumerate() {
                let high = usize::from(qh >> (3 * i) & 7);
                write_shifted(out, scale, &levels[usize::from(q) | high << 8], shift);
            }
        }
    }

    fn is_valid(&self) -> bool {
        finite_f16(self.d)
    }
}

impl BlockEncoder for Iq1S {
    const NEEDS_IMPORTANCE: bool = true;

    fn encode<L: Lanes>(weights: &[f32], blocks: &mut [Self]) {
        // Unreachable through `Codec`; ggml refuses too.
        each_super_block(weights, None, blocks, |_, _| Self { d: grid::NAN, ..Self::new_zeroed() });
    }

    fn encode_weighted<L: Lanes>(row: &[f32], importance: &[f32], _mean_square: f32, blocks: &mut [Self]) {
        each_super_block(row, Some(importance), blocks, encode::<L>);
    }
}

fn encode<L: Lanes>(x: &Super, importance: Option<&Super>) -> Iq1S {
    let mut block = Iq1S::new_zeroed();
    let Some(fits) = grid::SEARCH_IQ1.fit::<L, 32>(x, &weigh(x, importance), 1e-12, cut_whole) else {
        block.d = grid::NAN;
        return block;
    };
    let largest = fits.iter().fold(0.0, |max, fit| if max > fit.scale { max } else { fit.scale });
    let d = largest / 15.0;
    // ggml's empirical factor; it reduces the average error.
    block.d = f16_from_f32(d * 1.125).to_le_bytes();
    for (i, fit) in fits[..8].iter().enumerate() {
        let mut qh = 0;
        for (k, &point) in fit.points.iter().enumerate() {
            let number = grid::SEARCH_IQ1.number(point);
            block.qs[i][k] = number as u8;
            qh |= (number >> 8) << (3 * k);
        }
        if largest != 0.0 {
            let s = nearest_int(0.5 * (1.0 / d * fit.scale - 1.0)).clamp(0, 7) as u16;
            qh |= s << 12 | u16::from(fit.minus & 1) << 15;
        }
        block.qh[i] = qh.to_le_bytes();
    }
    block
}
