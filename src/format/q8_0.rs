//! Q8_0: `w = d q`, 32 weights in 34 bytes, 8.5 bits per weight.
//!
//! ```text
//! byte  0..2   d    F16   scale: the largest magnitude divided by 127
//! byte  2..34  qs   i8    codes -127..127
//! ```
//!
//! Nearly lossless; the safe choice for output and embedding tensors. Importance is ignored, as in ggml.
//! Source: ggml `quantize_row_q8_0_ref`, `dequantize_row_q8_0`.

use super::block::{BlockFormat, GroupEncoder, finite_f16};
use super::elementwise;
use crate::half::{f16_from_f32, f16_scale};
use crate::lanes::Lanes;
use crate::round::half_away_i8;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// One block of Q8_0.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Q8_0 {
    d: [u8; 2],
    qs: [i8; 32],
}

impl BlockFormat for Q8_0 {
    const ID: u32 = 8;
    const NAME: &'static str = "Q8_0";
    const WEIGHTS: usize = 32;

    fn decode(&self, out: &mut [f32]) {
        let d = f16_scale(self.d);
        for (out, q) in out.iter_mut().zip(self.qs) {
            *out = f32::from(q) * d;
        }
    }

    fn is_valid(&self) -> bool {
        finite_f16(self.d)
    }
}

impl GroupEncoder for Q8_0 {
    const IGNORES_IMPORTANCE: bool = true;

    fn encode_group<L: Lanes>(weights: &[f32], blocks: &mut [Self]) {
        for (block, x) in blocks.iter_mut().zip(weights.as_chunks().0) {
            let d = elementwise::max_abs::<L>(x) / 127.0;
            let inverse = elementwise::inverse(d);
            block.d = f16_from_f32(d).to_le_bytes();
            for (q, x) in block.qs.iter_mut().zip(x) {
                *q = half_away_i8(x * inverse);
            }
        }
    }
}
