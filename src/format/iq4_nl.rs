//! IQ4_NL: `w = d v[q]`, `v` sixteen fixed levels; 32 weights in 18 bytes, 4.5 bits per weight.
//!
//! ```text
//! byte  0..2   d    F16   scale
//! byte  2..18  qs   4-bit codes: low nibbles are weights 0..16, high nibbles weights 16..32
//! ```
//!
//! A non-uniform codebook: its levels, from -127 to 113, are denser near zero, like the weights of a bell-shaped
//! distribution. It has less error than Q4_0 at the same size and decodes more slowly. Presets use it for rows that are
//! not a multiple of 256. The encoder searches sixteen scales ([`crate::search::nonlinear`]), weighting each squared
//! error by the squared weight or, with importance, by `importance sqrt(2 mean(x^2) + x^2)`, with the mean over the
//! block.
//! Source: ggml `quantize_row_iq4_nl_impl`, `dequantize_row_iq4_nl`.

use super::block::{BlockFormat, GroupEncoder, finite_f16, transpose};
use super::elementwise;
use crate::half::{f16_from_f32, f16_scale};
use crate::lanes::Lanes;
use crate::search;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// One block of IQ4_NL.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Iq4Nl {
    d: [u8; 2],
    qs: [u8; 16],
}

impl BlockFormat for Iq4Nl {
    const ID: u32 = 20;
    const NAME: &'static str = "IQ4_NL";
    const WEIGHTS: usize = 32;

    fn decode(&self, out: &mut [f32]) {
        decode_nibbles(&self.qs, f16_scale(self.d), out);
    }

    fn is_valid(&self) -> bool {
        finite_f16(self.d)
    }
}

impl GroupEncoder for Iq4Nl {
    fn encode_group<L: Lanes>(weights: &[f32], blocks: &mut [Self]) {
        let x: [L; 32] = transpose(weights);
        encode(&x, &x.map(|x| x * x), blocks);
    }

    fn encode_group_weighted<L: Lanes>(weights: &[f32], importance: &[f32], _row_sigma2: f32, blocks: &mut [Self]) {
        let x: [L; 32] = transpose(weights);
        let sigma2 = x.iter().fold(L::splat(0.0), |sum, &x| sum + x * x) * L::splat(2.0 / 32.0);
        encode(&x, &importance_weights(&x, importance, sigma2), blocks);
    }
}

fn encode<L: Lanes>(x: &[L; 32], w: &[L; 32], blocks: &mut [Iq4Nl]) {
    let d = scale(x, w);
    let qs = nibbles(x, search::reciprocal_or_zero(d));
    for (lane, block) in blocks.iter_mut().enumerate() {
        block.d = f16_from_f32(d.lane(lane)).to_le_bytes();
        block.qs = qs.map(|q| q.int(lane) as u8);
    }
}

/// The codebook: the level of each code.
const LEVELS: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/// The midpoints between neighbouring levels. At each of them `x - below` and `above - x` are exact, so comparing `x`
/// with the midpoint gives the same result as the reference's comparison of those differences.
const MIDPOINTS: [f32; 15] = {
    let mut midpoints = [0.0; 15];
    let mut i = 0;
    while i < 15 {
        midpoints[i] = (LEVELS[i] as f32 + LEVELS[i + 1] as f32) / 2.0;
        i += 1;
    }
    midpoints
};

/// Starts at `first` and adds `step(i)` for each midpoint that is at most `x`; for NaN none is, as in the reference.
#[inline(always)]
fn climb<L: Lanes>(x: L, first: f32, step: impl Fn(usize) -> f32) -> L {
    MIDPOINTS
        .iter()
        .enumerate()
        .fold(L::splat(first), |sum, (i, &midpoint)| sum + L::splat(step(i)).zero_where(x.lt(L::splat(midpoint))))
}

/// The level nearest to `x`; the higher one on a tie.
#[inline(always)]
fn level<L: Lanes>(x: L) -> L {
    climb(x, f32::from(LEVELS[0]), |i| f32::from(LEVELS[i + 1]) - f32::from(LEVELS[i]))
}

/// The scale found by the search for 32 weights with the error weights `w`.
pub(super) fn scale<L: Lanes>(x: &[L; 32], w: &[L; 32]) -> L {
    search::nonlinear(x, w, f32::from(LEVELS[0]), level)
}

/// `importance * sqrt(sigma2 + x^2)`.
pub(super) fn importance_weights<L: Lanes>(x: &[L; 32], importance: &[f32], sigma2: L) -> [L; 32] {
    let quant: [L; 32] = transpose(importance);
    std::array::from_fn(|j| quant[j] * (sigma2 + x[j] * x[j]).sqrt())
}

/// The codes of `inverse * x`, packed two in a byte.
pub(super) fn nibbles<L: Lanes>(x: &[L; 32], inverse: L) -> [L; 16] {
    let code = |x: L| climb(inverse * x, 0.0, |_| 1.0);
    std::array::from_fn(|j| code(x[j]) + code(x[j + 16]) * L::splat(16.0))
}

/// Writes `d v[q]`: the low nibbles to the first half of `out`, the high nibbles to the second.
pub(super) fn decode_nibbles(bytes: &[u8; 16], d: f32, out: &mut [f32]) {
    elementwise::decode_levels(bytes, &LEVELS, d, out);
}
