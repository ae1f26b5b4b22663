//! Q2_0: `w = d (q - 1)`, 64 weights in 18 bytes, 2.25 bits per weight.
//!
//! ```text
//! byte  0..2    d    F16   the largest magnitude
//! byte  2..18   qs   2-bit codes, four neighbouring weights per byte, the lowest bits first
//! ```
//!
//! Codes 0, 1, 2 are `-d`, 0, `d`. Code 3 is `2 d`; it can be read, but this encoder, like ggml's, never writes it,
//! since `d` is the largest magnitude. For models trained with ternary weights in groups of 64; other models become
//! unusable. Importance is ignored, as in ggml. Source: ggml `quantize_row_q2_0_ref`, `dequantize_row_q2_0`.

use super::block::{BlockFormat, GroupEncoder, finite_f16, transpose};
use crate::half::{f16_from_f32, f16_scale};
use crate::lanes::Lanes;
use crate::search;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// One block of Q2_0.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Q2_0 {
    d: [u8; 2],
    qs: [u8; 16],
}

impl BlockFormat for Q2_0 {
    const ID: u32 = 42;
    const NAME: &'static str = "Q2_0";
    const WEIGHTS: usize = 64;

    fn decode(&self, out: &mut [f32]) {
        let d = f16_scale(self.d);
        for (out, byte) in out.chunks_exact_mut(4).zip(self.qs) {
            for (i, out) in out.iter_mut().enumerate() {
                *out = (f32::from(byte >> (i * 2) & 3) - 1.0) * d;
            }
        }
    }

    fn is_valid(&self) -> bool {
        finite_f16(self.d)
    }
}

impl GroupEncoder for Q2_0 {
    const IGNORES_IMPORTANCE: bool = true;

    fn encode_group<L: Lanes>(weights: &[f32], blocks: &mut [Self]) {
        let x: [L; 64] = transpose(weights);
        let (zero, one) = (L::splat(0.0), L::splat(1.0));
        let d = search::max_abs(&x);
        let inverse = search::reciprocal_or_zero(d);
        let codes = x.map(|x| {
            let q = (x * inverse).half_away();
            // The inverse of a tiny d is infinite; a value outside the range of int becomes INT_MIN, which is clamped
            // to 0.
            L::select(q.abs().lt(L::splat(2_147_483_648.0)), q + one, zero).max(zero).min(L::splat(3.0))
        });
        let bytes: [L; 16] = std::array::from_fn(|i| {
            codes[i * 4..i * 4 + 4].iter().rev().fold(zero, |byte, &code| byte * L::splat(4.0) + code)
        });
        for (lane, block) in blocks.iter_mut().enumerate() {
            block.d = f16_from_f32(d.lane(lane)).to_le_bytes();
            block.qs = bytes.map(|byte| byte.int(lane) as u8);
        }
    }
}
