//! TQ1_0: `w = d (t - 1)`, `t` in 0, 1, 2; 256 weights in 54 bytes, 1.6875 bits per weight.
//!
//! ```text
//! byte  0..32   qs   5 codes each: weights m, m + 32, .. m + 128 of 0..160, as digits of base 3
//! byte 32..48   qs   5 codes each: weights m, m + 16, .. m + 64 of 160..240
//! byte 48..52   qh   4 codes each: weights m, m + 4, m + 8, m + 12 of 240..256
//! byte 52..54   d    F16   scale: the largest magnitude
//! ```
//!
//! Five base-3 digits make a number below 243, which is stored as a fraction of 256, rounded up: multiplying the byte
//! by 3 moves the next digit into the carry, so a decoder needs no division. The first weight is the highest digit.
//!
//! For models trained with ternary weights (BitNet b1.58, TriLM), whose rows hold `-d`, `0` and `d`: those are exact up
//! to the rounding of `d`. Other models become unusable. Importance is ignored, as in ggml.
//! Source: ggml `quantize_row_tq1_0_ref`, `dequantize_row_tq1_0`.

use super::block::{BlockEncoder, BlockFormat, finite_f16};
use super::tq2_0::ternary;
use crate::half::f16_scale;
use crate::lanes::Lanes;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// One block of TQ1_0.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Tq1_0 {
    wide: [u8; 32],
    narrow: [u8; 16],
    qh: [u8; 4],
    d: [u8; 2],
}

impl BlockFormat for Tq1_0 {
    const ID: u32 = 34;
    const NAME: &'static str = "TQ1_0";
    const WEIGHTS: usize = 256;

    fn decode(&self, out: &mut [f32]) {
        let d = f16_scale(self.d);
        let (wide, rest) = out.split_at_mut(160);
        let (narrow, last) = rest.split_at_mut(80);
        unpack(&self.wide, d, wide);
        unpack(&self.narrow, d, narrow);
        unpack(&self.qh, d, last);
    }

    fn is_valid(&self) -> bool {
        finite_f16(self.d)
    }
}

impl BlockEncoder for Tq1_0 {
    const IGNORES_IMPORTANCE: bool = true;

    fn encode<L: Lanes>(weights: &[f32], blocks: &mut [Self]) {
        for (weights, block) in weights.as_chunks().0.iter().zip(blocks) {
            let (d, codes) = ternary::<L>(weights);
            let (wide, rest) = codes.split_at(160);
            let (narrow, last) = rest.split_at(80);
            pack(wide, &mut block.wide);
            pack(narrow, &mut block.narrow);
            pack(last, &mut block.qh);
            block.d = d;
        }
    }
}

/// Packs into byte `m` the codes `m`, `m + bytes.len()`, ...: up to five, with missing ones as zero.
fn pack(codes: &[u8], bytes: &mut [u8]) {
    let stride = bytes.len();
    for (m, byte) in bytes.iter_mut().enumerate() {
        let digit = |n: usize| codes.get(m + n * stride).map_or(0, |&code| u16::from(code));
        let number = (0..5).fold(0, |number, n| number * 3 + digit(n));
        *byte = (number * 256).div_ceil(243) as u8;
    }
}

/// The inverse of [`pack`]; decodes as many weights as `out` has.
fn unpack(bytes: &[u8], d: f32, out: &mut [f32]) {
    for (out, power) in out.chunks_exact_mut(bytes.len()).zip([1u8, 3, 9, 27, 81]) {
        for (out, byte) in out.iter_mut().zip(bytes) {
            let code = (u16::from(byte.wrapping_mul(power)) * 3) >> 8;
            *out = (f32::from(code) - 1.0) * d;
        }
    }
}
