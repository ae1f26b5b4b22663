//! IQ3_XXS: `w = d (s + 1/2) / 2 * sign * level`, 256 weights in 98 bytes, 3.0625 bits per weight.
//!
//! ```text
//! byte  0..2    d        F16   scale of the super-block
//! byte  2..66   points   u8    number on the grid of 256 points, one for 4 weights each
//! byte 66..98   signs    u32   for each 32 weights: bits 0..28: 7 signs for each 8, the eighth follows; bits 28..32: s
//! ```
//!
//! A point is four levels out of 4, 12 .. 52, 62; the number of negative weights in each eight is even, and where it is
//! not, the encoder flips the sign that matters least. Good as the smallest format that needs no importance matrix to
//! be usable (and is better with one).
//! Source: ggml `quantize_row_iq3_xxs_impl`, `dequantize_row_iq3_xxs`.

use super::block::{BlockFormat, finite_f16};
use super::grid::{self, SignsAndScale, write_signed};
use crate::half::f16_to_f32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// One block of IQ3_XXS.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Iq3Xxs {
    d: [u8; 2],
    points: [[u8; 8]; 8],
    signs: [SignsAndScale; 8],
}

impl BlockFormat for Iq3Xxs {
    const ID: u32 = 18;
    const NAME: &'static str = "IQ3_XXS";
    const WEIGHTS: usize = 256;

    fn decode(&self, out: &mut [f32]) {
        let levels = &*grid::IQ3_XXS;
        let d = f16_to_f32(u16::from_le_bytes(self.d));
        for ((points, signs), out) in self.points.iter().zip(self.signs).zip(out.chunks_exact_mut(32)) {
            let scale = d * (0.5 + f32::from(signs.scale())) * 0.5;
            for (i, (points, out)) in points.chunks_exact(2).zip(out.chunks_exact_mut(8)).enumerate() {
                let pair = grid::join(levels[usize::from(points[0])], levels[usize::from(points[1])]);
                write_signed(out, scale, &pair, signs.signs(i));
            }
        }
    }

    fn is_valid(&self) -> bool {
        finite_f16(self.d)
    }
}
