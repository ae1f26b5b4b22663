//! TQ2_0: `w = d (q - 1)`, `q` in 0, 1, 2; 256 weights in 66 bytes, 2.0625 bits per weight.
//!
//! ```text
//! byte  0..32   qs   2-bit codes of weights 0..128: byte m holds weights m, m + 32, m + 64, m + 96, the lowest bits first
//! byte 32..64   qs   the same for weights 128..256
//! byte 64..66   d    F16   scale: the largest magnitude
//! ```
//!
//! Like TQ1_0 but not packed: larger and faster to decode. For models trained with ternary weights; other models become
//! unusable, because one outlier turns all weights smaller than half of it into zeros. Importance is ignored, as in
//! ggml.
//! Source: ggml `quantize_row_tq2_0_ref`, `dequantize_row_tq2_0`.

use super::block::{BlockEncoder, BlockFormat, finite_f16};
use super::super_block::{SUPER, Super, pack_two_bits};
use crate::half::{f16_from_f32, f16_scale};
use crate::lanes::Lanes;
use crate::search;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// One block of TQ2_0.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Tq2_0 {
    qs: [[u8; 32]; 2],
    d: [u8; 2],
}

impl BlockFormat for Tq2_0 {
    const ID: u32 = 35;
    const NAME: &'static str = "TQ2_0";
    const WEIGHTS: usize = 256;

    fn decode(&self, out: &mut [f32]) {
        let d = f16_scale(self.d);
        for (i, out) in out.chunks_exact_mut(32).enumerate() {
            for (out, byte) in out.iter_mut().zip(self.qs[i / 4]) {
                *out = (f32::from(byte >> (i % 4 * 2) & 3) - 1.0) * d;
            }
        }
    }

    fn is_valid(&self) -> bool {
        finite_f16(self.d)
    }
}

impl BlockEncoder for Tq2_0 {
    const IGNORES_IMPORTANCE: bool = true;

    fn encode<L: Lanes>(weights: &[f32], blocks: &mut [Self]) {
        for (weights, block) in weights.as_chunks().0.iter().zip(blocks) {
            let (d, codes) = ternary::<L>(weights);
            block.d = d;
            block.qs = pack_two_bits(&codes);
        }
    }
}

/// The scale of a ternary block as F16, and its codes `round(x / d) + 1`, rounding ties away from zero.
///
/// Neither step depends on the order of the weights, so the lanes are neighbouring weights of the block.
pub(super) fn ternary<L: Lanes>(weights: &Super) -> ([u8; 2], [u8; SUPER]) {
    let lanes = weights.chunks_exact(L::N);
    let largest = lanes.clone().fold(L::splat(0.0), |max, x| max.max(L::gather(x, 1).abs()));
    let d = (0..L::N).fold(0.0f32, |max, lane| max.max(largest.lane(lane)));
    let inverse = L::splat(search::reciprocal_or_zero(d));

    let mut codes = [0; SUPER];
    for (codes, x) in codes.chunks_exact_mut(L::N).zip(lanes) {
        // lroundf of a value outside the range of long (the inverse of a tiny d is infinite) is LONG_MIN, whose low 32
        // bits are 0.
        let code = (L::gather(x, 1) * inverse).half_away().trunc_or_zero() + L::splat(1.0);
        for (lane, out) in codes.iter_mut().enumerate() {
            *out = code.int(lane) as u8;
        }
    }
    (f16_from_f32(d).to_le_bytes(), codes)
}
