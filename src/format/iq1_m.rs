//! IQ1_M: `w = d (2 s + 1) (level + shift)`, 256 weights in 56 bytes, 1.75 bits per weight.
//!
//! ```text
//! byte  0..32   qs       low 8 bits of the index into the grid of 2048 points, one for 8 weights each
//! byte 32..48   qh       a nibble for each 8 weights, low nibble first: 3 high bits of the index, and a bit that is
//!                        set if the shift is -1/8 and clear if it is +1/8
//! byte 48..56   scales   u16   four times: bits 0..12 s of four groups of 16 weights, 3 bits each; bits 12..16 a nibble
//!                              of d, the F16 scale of the super-block, the lowest first
//! ```
//!
//! Like IQ1_S with twice as many scales and a shift for each eight weights. The only one-bit format that ggml writes
//! without an importance matrix, but the result is hardly usable without one.
//! Source: ggml `quantize_row_iq1_m_impl`, `dequantize_row_iq1_m`.

use super::block::{BlockEncoder, BlockFormat, finite_f16};
use super::grid::{self as grid, SHIFT, cut_halves, weigh, write_shifted};
use super::super_block::{Super, each_super_block, scale as f16};
use crate::half::f16_from_f32;
use crate::lanes::Lanes;
use crate::round::nearest_int;
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

/// One block of IQ1_M.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Iq1M {
    qs: [u8; 32],
    qh: [u8; 16],
    scales: [[u8; 2]; 4],
}

impl Iq1M {
    /// Assembles `d` from its nibbles.
    fn d(&self) -> [u8; 2] {
        self.scales.iter().rev().fold(0, |d, &word| d << 4 | u16::from_le_bytes(word) >> 12).to_le_bytes()
    }

    fn set_d(&mut self, d: [u8; 2]) {
        for (i, word) in self.scales.iter_mut().enumerate() {
            let nibble = u16::from_le_bytes(d) >> (4 * i) & 15;
            *word = (u16::from_le_bytes(*word) & 0x0fff | nibble << 12).to_le_bytes();
        }
    }
}

impl BlockFormat for Iq1M {
    const ID: u32 = 29;
    const NAME: &'static str = "IQ1_M";
    const WEIGHTS: usize = 256;

    fn decode(&self, out: &mut [f32]) {
        let levels = &*grid::IQ1;
        let d = f16(self.d());
        let groups = self.qs.as_chunks::<4>().0.iter().zip(self.qh.as_chunks::<2>().0);
        for (i, ((qs, &qh), out)) in groups.zip(out.as_chunks_mut::<32>().0).enumerate() {
            let (qh, s) = (u16::from_le_bytes(qh), u16::from_le_bytes(self.scales[i / 2]) >> (i % 2 * 6));
            let scales = [s, s >> 3].map(|s| d * f32::from(2 * (s & 7) + 1));
            for (k, (&q, out)) in qs.iter().zip(out.as_chunks_mut::<8>().0).enumerate() {
                let nibble = qh >> (4 * k);
                let shift = if nibble & 8 == 8 { -SHIFT } else { SHIFT };
                write_shifted(out, scales[k / 2], &levels[usize::from(q) | usize::from(nibble & 7) << 8], shift);
            }
        }
    }

    fn is_valid(&self) -> bool {
        finite_f16(self.d())
    }
}

impl BlockEncoder for Iq1M {
    fn encode<L: Lanes>(weights: &[f32], blocks: &mut [Self]) {
        each_super_block(weights, None, blocks, encode::<L>);
    }

    fn encode_weighted<L: Lanes>(row: &[f32], importance: &[f32], _mean_square: f32, blocks: &mut [Self]) {
        each_super_block(row, Some(importance), blocks, encode::<L>);
    }
}

fn encode<L: Lanes>(x: &Super, importance: Option<&Super>) -> Iq1M {
    let mut block = Iq1M::new_zeroed();
    let w = weigh(x, importance);
    let Some(fits) = grid::SEARCH_IQ1.fit::<L, 16>(x, &w, 1e-7, cut_halves) else {
        block.set_d(grid::NAN);
        return block;
    };
    for (i, fit) in fits.iter().enumerate() {
        for k in 0..2 {
            let number = grid::SEARCH_IQ1.number(fit.points[k]);
            block.qs[2 * i + k] = number as u8;
            block.qh[i] |= ((number >> 8) << (4 * k)) as u8;
        }
    }
    let largest = fits.iter().fold(0.0, |max, fit| if max > fit.scale { max } else { fit.scale });
    if largest == 0.0 {
        return block;
    }
    let mut d = largest / 15.0;
    let inverse = 1.0 / d;
    let mut sums = (0.0, 0.0);
    let mut scales = [0; 4];
    for (i, (fit, (x, w))) in fits.iter().zip(x.chunks_exact(16).zip(w.chunks_exact(16))).enumerate() {
        let s = nearest_int(0.5 * (inverse * fit.scale - 1.0)).clamp(0, 7) as u16;
        scales[i / 4] |= s << (3 * (i % 4));
        block.qh[i] |= (fit.minus & 1) << 3 | (fit.minus >> 1 & 1) << 7;
        sums = grid::SEARCH_IQ1.sums(fit, x, w, f32::from(2 * s + 1), sums);
    }
    block.scales = scales.map(u16::to_le_bytes);
    let (sumqx, sumq2) = sums;
    if sumq2 > 0.0 {
        d = sumqx / sumq2;
    }
    // ggml's empirical factor; it reduces the average error.
    block.set_d(f16_from_f32(d * 1.1125).to_le_bytes());
    block
}
