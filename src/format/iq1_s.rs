//! IQ1_S: `w = d (2 s + 1) (level + shift)`, 256 weights in 50 bytes, 1.5625 bits per weight.
//!
//! ```text
//! byte  0..2    d    F16   scale of the super-block
//! byte  2..34   qs   low 8 bits of the number on the grid of 2048 points, one for 8 weights each
//! byte 34..50   qh   u16   for each 32 weights: bits 0..12 the high 3 bits of its four numbers, bits 12..15 s,
//!                          bit 15 set: shift is -1/8, else +1/8
//! ```
//!
//! A point is eight levels out of -1, 0, 1. The smallest format there is: for very large models that do not fit
//! otherwise, and only with an importance matrix (ggml refuses to write it without one).
//! Source: ggml `quantize_row_iq1_s_impl`, `dequantize_row_iq1_s`.

use super::block::{BlockFormat, finite_f16};
use super::grid::{self, SHIFT, write_shifted};
use crate::half::f16_to_f32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// One block of IQ1_S.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Iq1S {
    d: [u8; 2],
    qs: [[u8; 4]; 8],
    qh: [[u8; 2]; 8],
}

impl BlockFormat for Iq1S {
    const ID: u32 = 19;
    const NAME: &'static str = "IQ1_S";
    const WEIGHTS: usize = 256;

    fn decode(&self, out: &mut [f32]) {
        let levels = &*grid::IQ1;
        let d = f16_to_f32(u16::from_le_bytes(self.d));
        for ((qs, qh), out) in self.qs.iter().zip(self.qh).zip(out.chunks_exact_mut(32)) {
            let qh = u16::from_le_bytes(qh);
            let scale = d * f32::from(2 * (qh >> 12 & 7) + 1);
            let shift = if qh >> 15 == 1 { -SHIFT } else { SHIFT };
            for (i, (&q, out)) in qs.iter().zip(out.chunks_exact_mut(8)).enumerate() {
                let high = usize::from(qh >> (3 * i) & 7);
                write_shifted(out, scale, &levels[usize::from(q) | high << 8], shift);
            }
        }
    }

    fn is_valid(&self) -> bool {
        finite_f16(self.d)
    }
}
