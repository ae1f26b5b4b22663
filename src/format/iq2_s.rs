//! IQ2_S: `w = d (s + 1/2) / 4 * sign * level`, 256 weights in 82 bytes, 2.5625 bits per weight.
//!
//! ```text
//! byte  0..2    d        F16   scale of the super-block
//! byte  2..34   qs       low 8 bits of the number on the grid of 1024 points, one for 8 weights each
//! byte 34..66   signs    one bit per weight
//! byte 66..74   qh       high 2 bits of the numbers, the first in the low bits
//! byte 74..82   scales   4-bit s of 16 weights each, low nibbles first
//! ```
//!
//! The largest of the two-bit grids, every sign stored, and the only one of them that ggml writes without an importance
//! matrix. Q2_K takes as much space, encodes and decodes faster, and is less exact.
//! Source: ggml `quantize_row_iq2_s_impl`, `dequantize_row_iq2_s`.

use super::block::{BlockFormat, finite_f16};
use super::grid::{self, write_signed};
use crate::half::f16_to_f32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

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
        let d = f16_to_f32(u16::from_le_bytes(self.d));
        for (i, out) in out.chunks_exact_mut(8).enumerate() {
            let s = self.scales[i / 4] >> (i / 2 % 2 * 4) & 15;
            let scale = d * (0.5 + f32::from(s)) * 0.25;
            let high = usize::from(self.qh[i / 4] >> (i % 4 * 2) & 3);
            write_signed(out, scale, &levels[usize::from(self.qs[i]) | high << 8], self.signs[i]);
        }
    }

    fn is_valid(&self) -> bool {
        finite_f16(self.d)
    }
}
