//! IQ4_XS: `w = d (s - 32) v[q]`, `v` the sixteen levels of IQ4_NL; 256 weights in 136 bytes, 4.25 bits per weight.
//!
//! ```text
//! byte  0..2     d          F16   scale of the super-block
//! byte  2..4     scales_h   u16   the two high bits of each of eight 6-bit scales s, the lowest first
//! byte  4..8     scales_l   the four low bits of each s, low nibble first
//! byte  8..136   qs         16 bytes per sub-block of 32 weights: low nibbles are its first 16 weights
//! ```
//!
//! IQ4_NL with 6-bit instead of 16-bit scales: about the error of Q4_K with a quarter of a bit less, but slower to
//! decode. The scales of the eight sub-blocks are searched in parallel, one per lane, weighting each squared error by
//! the squared weight or, with importance, by `importance sqrt(2 mean(x^2) + x^2)`, with the mean over the super-block.
//! Source: ggml `quantize_row_iq4_nl_impl`, `dequantize_row_iq4_xs`.

use super::block::{BlockEncoder, BlockFormat, finite_f16, transpose};
use super::iq4_nl;
use super::super_block::{Super, each_super_block, put, scale, sum_of_squares};
use crate::half::f16_from_f32;
use crate::lanes::Lanes;
use crate::round::nearest_int;
use crate::search;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// One block of IQ4_XS.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Iq4Xs {
    d: [u8; 2],
    scales_h: [u8; 2],
    scales_l: [u8; 4],
    qs: [[u8; 16]; 8],
}

impl BlockFormat for Iq4Xs {
    const ID: u32 = 23;
    const NAME: &'static str = "IQ4_XS";
    const WEIGHTS: usize = 256;

    fn decode(&self, out: &mut [f32]) {
        let d = scale(self.d);
        let high = u16::from_le_bytes(self.scales_h);
        for (i, (out, qs)) in out.chunks_exact_mut(32).zip(&self.qs).enumerate() {
            let low = self.scales_l[i / 2] >> (i % 2 * 4) & 15;
            let s = i32::from(low) | i32::from(high >> (i * 2) & 3) << 4;
            iq4_nl::decode_nibbles(qs, d * (s - 32) as f32, out);
        }
    }

    fn is_valid(&self) -> bool {
        finite_f16(self.d)
    }
}

impl BlockEncoder for Iq4Xs {
    fn encode<L: Lanes>(weights: &[f32], blocks: &mut [Self]) {
        each_super_block(weights, None, blocks, encode::<L>);
    }

    fn encode_weighted<L: Lanes>(row: &[f32], importance: &[f32], _mean_square: f32, blocks: &mut [Self]) {
        each_super_block(row, Some(importance), blocks, encode::<L>);
    }
}

fn encode<L: Lanes>(weights: &Super, importance: Option<&Super>) -> Iq4Xs {
    let sigma2 = L::splat(sum_of_squares(weights) * (2.0 / 256.0));
    let mut scales = [0.0; 8];
    for first in (0..8).step_by(L::N) {
        let x: [L; 32] = transpose(&weights[first * 32..]);
        let w = importance.map_or_else(
            || x.map(|x| x * x),
            |importance| iq4_nl::importance_weights(&x, &importance[first * 32..], sigma2),
        );
        put(iq4_nl::scale(&x, &w), &mut scales, first);
    }

    // The sign of the largest scale is flipped so that its 6-bit scale is -32, which has no positive counterpart.
    let d = -search::signed_max(&scales) / 32.0;
    let inverse = search::reciprocal_or_zero(d);
    let s = scales.map(|scale| nearest_int(inverse * scale).clamp(-32, 31));

    let mut qs = [[0; 16]; 8];
    for (first, qs) in (0..8).step_by(L::N).zip(qs.chunks_exact_mut(L::N)) {
        let x: [L; 32] = transpose(&weights[first * 32..]);
        let scale = L::from_fn(|lane| d * s[first + lane] as f32);
        let nibbles = iq4_nl::nibbles(&x, search::reciprocal_or_zero(scale));
        for (lane, qs) in qs.iter_mut().enumerate() {
            *qs = nibbles.map(|q| q.int(lane) as u8);
        }
    }

    let bits = s.map(|s| (s + 32) as u16);
    let low = |i: usize| bits[i] as u8 & 15;
    Iq4Xs {
        d: f16_from_f32(d).to_le_bytes(),
        scales_h: (0..8).fold(0, |high, i| high | bits[i] >> 4 << (i * 2)).to_le_bytes(),
        scales_l: std::array::from_fn(|i| low(2 * i) | low(2 * i + 1) << 4),
        qs,
    }
}
