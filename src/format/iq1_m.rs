//! IQ1_M: `w = d (2 s + 1) (level + shift)`, 256 weights in 56 bytes, 1.75 bits per weight.
//!
//! ```text
//! byte  0..32   qs       low 8 bits of the number on the grid of 2048 points, one for 8 weights each
//! byte 32..48   qh       a nibble for each 8 weights, low nibble first: 3 high bits of the number, and a bit that is
//!                        set where the shift is -1/8, else it is +1/8
//! byte 48..56   scales   u16   four times: bits 0..12 s of four groups of 16 weights, 3 bits each; bits 12..16 a nibble
//!                              of d, the F16 scale of the super-block, the lowest first
//! ```
//!
//! As IQ1_S with twice the scales and a shift for each eight weights. The only one-bit format that ggml writes without an
//! importance matrix; the result is of little use without one.
//! Source: ggml `quantize_row_iq1_m_impl`, `dequantize_row_iq1_m`.

use super::block::{BlockFormat, finite_f16};
use super::grid::{self, SHIFT, write_shifted};
use crate::half::f16_to_f32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// One block of IQ1_M.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Iq1M {
    qs: [u8; 32],
    qh: [u8; 16],
    scales: [[u8; 2]; 4],
}

impl Iq1M {
    /// The bits of `d`.
    fn d(&self) -> u16 {
        self.scales.iter().rev().fold(0, |d, &word| d << 4 | u16::from_le_bytes(word) >> 12)
    }
}

impl BlockFormat for Iq1M {
    const ID: u32 = 29;
    const NAME: &'static str = "IQ1_M";
    const WEIGHTS: usize = 256;

    fn decode(&self, out: &mut [f32]) {
        let levels = &*grid::IQ1;
        let d = f16_to_f32(self.d());
        for (i, (&q, out)) in self.qs.iter().zip(out.chunks_exact_mut(8)).enumerate() {
            let s = u16::from_le_bytes(self.scales[i / 8]) >> (i / 2 % 4 * 3) & 7;
            let scale = d * f32::from(2 * s + 1);
            let high = self.qh[i / 2] >> (i % 2 * 4);
            let shift = if high & 8 == 8 { -SHIFT } else { SHIFT };
            write_shifted(out, scale, &levels[usize::from(q) | usize::from(high & 7) << 8], shift);
        }
    }

    fn is_valid(&self) -> bool {
        finite_f16(self.d().to_le_bytes())
    }
}
