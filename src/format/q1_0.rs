//! Q1_0: `w = d` or `-d`, 128 weights in 18 bytes, 1.125 bits per weight.
//!
//! ```text
//! byte  0..2    d    F16   the mean magnitude
//! byte  2..18   qs   a bit per weight, the lowest first: set for `d`, clear for `-d`
//! ```
//!
//! For models trained with binary weights. For given signs the mean magnitude is the scale with the least squared
//! error. For gaussian weights that error is about 0.6 standard deviations, which makes other models unusable.
//! Importance is ignored, as in ggml. Source: ggml `quantize_row_q1_0_ref`, `dequantize_row_q1_0`.

use super::block::{BlockFormat, GroupEncoder, finite_f16};
use crate::half::{f16_from_f32, f16_scale};
use crate::lanes::{Lanes, Mask};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// One block of Q1_0.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Q1_0 {
    d: [u8; 2],
    qs: [u8; 16],
}

impl BlockFormat for Q1_0 {
    const ID: u32 = 41;
    const NAME: &'static str = "Q1_0";
    const WEIGHTS: usize = 128;

    fn decode(&self, out: &mut [f32]) {
        let d = f16_scale(self.d);
        for (out, byte) in out.chunks_exact_mut(8).zip(self.qs) {
            for (bit, out) in out.iter_mut().enumerate() {
                *out = if byte >> bit & 1 == 1 { d } else { -d };
            }
        }
    }

    fn is_valid(&self) -> bool {
        finite_f16(self.d)
    }
}

impl GroupEncoder for Q1_0 {
    const IGNORES_IMPORTANCE: bool = true;

    fn encode_group<L: Lanes>(weights: &[f32], blocks: &mut [Self]) {
        // The sum is ordered, so its lanes are blocks; the signs are not, so their lanes are neighbouring weights.
        let zero = L::splat(0.0);
        let d = (0..128).fold(zero, |sum, j| sum + L::gather(&weights[j..], 128).abs()) / L::splat(128.0);
        for (lane, (block, x)) in blocks.iter_mut().zip(weights.as_chunks::<128>().0).enumerate() {
            block.d = f16_from_f32(d.lane(lane)).to_le_bytes();
            for (byte, x) in block.qs.iter_mut().zip(x.as_chunks::<8>().0) {
                // -0 counts as positive.
                let signs = x.chunks_exact(L::N).map(|x| zero.le(L::load(x)).bits());
                *byte = signs.rev().fold(0, |byte, bits| byte.checked_shl(L::N as u32).unwrap_or(0) | bits);
            }
        }
    }
}
