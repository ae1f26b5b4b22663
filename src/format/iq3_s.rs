//! IQ3_S: `w = d (2 s + 1) * sign * level`, 256 weights in 110 bytes, 3.4375 bits per weight.
//!
//! ```text
//! byte   0..2    d        F16   scale of the super-block
//! byte   2..66   qs       low 8 bits of the number on the grid of 512 points, one for 4 weights each
//! byte  66..74   qh       high bit of the numbers, the first in the low bit
//! byte  74..106  signs    one bit per weight
//! byte 106..110  scales   4-bit s of 32 weights each, low nibbles first
//! ```
//!
//! A point is four odd levels 1..15, every sign is stored. As large as Q3_K and more exact, slower to encode; works
//! without an importance matrix and is better with one.
//! Source: ggml `quantize_row_iq3_s_impl`, `dequantize_row_iq3_s`.

use super::block::{BlockFormat, finite_f16};
use super::grid::{self, write_signed};
use crate::half::f16_to_f32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

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
        let d = f16_to_f32(u16::from_le_bytes(self.d));
        for (ib, out) in out.chunks_exact_mut(32).enumerate() {
            let s = self.scales[ib / 2] >> (ib % 2 * 4) & 15;
            let scale = d * f32::from(1 + 2 * s);
            let point = |k: usize| levels[usize::from(self.qs[ib][k]) | usize::from(self.qh[ib] >> k & 1) << 8];
            for (i, out) in out.chunks_exact_mut(8).enumerate() {
                let pair = grid::join(point(2 * i), point(2 * i + 1));
                write_signed(out, scale, &pair, self.signs[ib][i]);
            }
        }
    }

    fn is_valid(&self) -> bool {
        finite_f16(self.d)
    }
}
