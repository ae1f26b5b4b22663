//! Q8_K: `w = d q`, 256 weights in 292 bytes, 9.125 bits per weight. Read-only: it does not occur in model files.
//!
//! ```text
//! byte   0..4    d      F32   scale
//! byte   4..260  qs     i8    codes
//! byte 260..292  bsums  i16   the sums of the sixteen runs of 16 codes
//! ```
//!
//! ggml quantizes activations to it before multiplying them with K-quants.
//! Source: ggml `block_q8_K`, `dequantize_row_q8_K`.

use super::block::BlockFormat;
use super::super_block::SUPER;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// One super-block of Q8_K.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Q8K {
    d: [u8; 4],
    qs: [i8; SUPER],
    bsums: [[u8; 2]; 16],
}

impl BlockFormat for Q8K {
    const ID: u32 = 15;
    const NAME: &'static str = "Q8_K";
    const WEIGHTS: usize = SUPER;

    fn decode(&self, out: &mut [f32]) {
        let d = f32::from_le_bytes(self.d);
        for (out, q) in out.iter_mut().zip(self.qs) {
            *out = d * f32::from(q);
        }
    }

    fn is_valid(&self) -> bool {
        f32::from_le_bytes(self.d).is_finite()
    }
}
