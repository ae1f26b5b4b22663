//! Q1_0: `w = d` or `-d`, 128 weights in 18 bytes, 1.125 bits per weight.
//!
//! ```text
//! byte  0..2    d    F16   the mean magnitude
//! byte  2..18   qs   a bit per weight, the lowest first: set for `d`, clear for `-d`
//! ```
//!
//! For models trained with binary weights. For a given set of signs the mean magnitude is the scale of least squared
//! error; that error is about 0.6 of the standard deviation of gaussian weights, which no other model survives.
//! Importance is ignored, as ggml ignores it. Source: ggml `quantize_row_q1_0_ref`, `dequantize_row_q1_0`.

use super::block::{BlockFormat, GroupEncoder, finite_f16, transpose};
use crate::half::{f16_from_f32, f16_scale};
use crate::lanes::Lanes;
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
        let x: [L; 128] = transpose(weights);
        let zero = L::splat(0.0);
        let d = x.iter().fold(zero, |sum, x| sum + x.abs()) / L::splat(128.0);
        let bytes: [L; 16] = std::array::from_fn(|i| {
            // From the highest bit down; -0 counts as positive.
            x[i * 8..i * 8 + 8]
                .iter()
                .rev()
                .fold(zero, |byte, &x| byte + byte + L::select(zero.le(x), L::splat(1.0), zero))
        });
        for (lane, block) in blocks.iter_mut().enumerate() {
            block.d = f16_from_f32(d.lane(lane)).to_le_bytes();
            block.qs = bytes.map(|byte| byte.int(lane) as u8);
        }
    }
}
