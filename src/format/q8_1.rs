//! Q8_1: `w = d q`, 32 weights in 36 bytes, 9 bits per weight. Read-only: it does not occur in model files.
//!
//! ```text
//! byte  0..2   d    F16   scale
//! byte  2..4   s    F16   d times the sum of the codes
//! byte  4..36  qs   i8    codes
//! ```
//!
//! ggml quantizes activations to it before multiplying them with Q4_1 and Q5_1, whose minimum needs the sum.
//! Source: ggml `block_q8_1`, `quantize_row_q8_1_ref`. ggml has no decoder for it; its codes are those of Q8_0.

use super::block::{BlockFormat, finite_f16};
use super::super_block::scale;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// One block of Q8_1.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Q8_1 {
    d: [u8; 2],
    s: [u8; 2],
    qs: [i8; 32],
}

impl BlockFormat for Q8_1 {
    const ID: u32 = 9;
    const NAME: &'static str = "Q8_1";
    const WEIGHTS: usize = 32;

    fn decode(&self, out: &mut [f32]) {
        let d = scale(self.d);
        for (out, q) in out.iter_mut().zip(self.qs) {
            *out = f32::from(q) * d;
        }
    }

    fn is_valid(&self) -> bool {
        finite_f16(self.d) && finite_f16(self.s)
    }
}
