//! IQ2_XXS: `w = d (s + 1/2) / 4 * sign * level`, 256 weights in 66 bytes, 2.0625 bits per weight.
//!
//! ```text
//! byte  0..2    d     F16   scale of the super-block
//! byte  2..66   subs  eight times for 32 weights each:
//!       0..4      points   u8    number on the grid of 256 points, one for 8 weights each
//!       4..8      signs    u32   bits 0..28: 7 signs for each point, the eighth follows; bits 28..32: s
//! ```
//!
//! A point is eight levels out of 8, 25, 43; the number of negative weights in each eight is even, and where it is not,
//! the encoder flips the sign that matters least. Good where two bits have to do and an importance matrix is at hand
//! (ggml refuses to write it without one); IQ2_S spends half a bit more for all signs and four times the points.
//! Source: ggml `quantize_row_iq2_xxs_impl`, `dequantize_row_iq2_xxs`.

use super::block::{BlockFormat, finite_f16};
use super::grid::{self, SignsAndScale, write_signed};
use crate::half::f16_to_f32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// One block of IQ2_XXS.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Iq2Xxs {
    d: [u8; 2],
    subs: [Sub; 8],
}

/// 32 weights.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Sub {
    points: [u8; 4],
    signs: SignsAndScale,
}

impl BlockFormat for Iq2Xxs {
    const ID: u32 = 16;
    const NAME: &'static str = "IQ2_XXS";
    const WEIGHTS: usize = 256;

    fn decode(&self, out: &mut [f32]) {
        let levels = &*grid::IQ2_XXS;
        let d = f16_to_f32(u16::from_le_bytes(self.d));
        for (sub, out) in self.subs.iter().zip(out.chunks_exact_mut(32)) {
            let scale = d * (0.5 + f32::from(sub.signs.scale())) * 0.25;
            for (i, (&point, out)) in sub.points.iter().zip(out.chunks_exact_mut(8)).enumerate() {
                write_signed(out, scale, &levels[usize::from(point)], sub.signs.signs(i));
            }
        }
    }

    fn is_valid(&self) -> bool {
        finite_f16(self.d)
    }
}
