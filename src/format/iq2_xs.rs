//! IQ2_XS: `w = d (s + 1/2) / 4 * sign * level`, 256 weights in 74 bytes, 2.3125 bits per weight.
//!
//! ```text
//! byte  0..2    d        F16   scale of the super-block
//! byte  2..66   qs       u16   for each 8 weights: bits 0..9 number on the grid of 512 points, bits 9..16 seven signs
//! byte 66..74   scales   4-bit s of 16 weights each, low nibbles first
//! ```
//!
//! As IQ2_XXS with twice the points and twice the scales; the eighth sign follows from the other seven. Good where two
//! bits have to do and an importance matrix is at hand (ggml refuses to write it without one).
//! Source: ggml `quantize_row_iq2_xs_impl`, `dequantize_row_iq2_xs`.

use super::block::{BlockFormat, finite_f16};
use super::grid::{self, even_signs, write_signed};
use crate::half::f16_to_f32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// One block of IQ2_XS.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Iq2Xs {
    d: [u8; 2],
    qs: [[u8; 2]; 32],
    scales: [u8; 8],
}

impl BlockFormat for Iq2Xs {
    const ID: u32 = 17;
    const NAME: &'static str = "IQ2_XS";
    const WEIGHTS: usize = 256;

    fn decode(&self, out: &mut [f32]) {
        let levels = &*grid::IQ2_XS;
        let d = f16_to_f32(u16::from_le_bytes(self.d));
        for (i, (q, out)) in self.qs.iter().zip(out.chunks_exact_mut(8)).enumerate() {
            let s = self.scales[i / 4] >> (i / 2 % 2 * 4) & 15;
            let scale = d * (0.5 + f32::from(s)) * 0.25;
            let q = u16::from_le_bytes(*q);
            write_signed(out, scale, &levels[usize::from(q & 511)], even_signs((q >> 9) as u8));
        }
    }

    fn is_valid(&self) -> bool {
        finite_f16(self.d)
    }
}
