//! F32, F16, BF16: plain floats, little-endian, 4, 2 and 2 bytes per weight; 32, 16 and 16 bits per weight.
//!
//! ```text
//! F32    bits 0..23 mantissa   23..31 exponent of bias 127   31 sign
//! F16    bits 0..10 mantissa   10..15 exponent of bias 15    15 sign     largest 65504, smallest 2^-24
//! BF16   bits 0..7  mantissa    7..15 exponent of bias 127   15 sign     the range of F32
//! ```
//!
//! Weights are rounded to nearest, ties to even. NaN and infinity are preserved. F16 turns values beyond its range into
//! infinity; BF16 has the range of F32 and a precision of two to three decimal digits. Models are trained and published
//! in these formats, and all presets keep small tensors (norms, biases) in F32.
//! Source: ggml `ggml_fp32_to_fp16_row`, `ggml_fp32_to_bf16_row_ref` and their inverses; [`crate::half`].

use super::block::{BlockEncoder, BlockFormat};
use crate::half;
use crate::lanes::Lanes;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

macro_rules! float {
    ($(#[$doc:meta])+ $name:ident $id:literal $bytes:literal, $decode:expr, $encode:expr, finite $finite:expr $(, row $row:expr)?) => {
        $(#[$doc])+
        #[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
        #[repr(C)]
        pub struct $name([u8; $bytes]);

        impl BlockFormat for $name {
            const ID: u32 = $id;
            const NAME: &'static str = stringify!($name);
            const WEIGHTS: usize = 1;

            #[inline(always)]
            fn decode(&self, out: &mut [f32]) {
                out[0] = $decode(self.0);
            }
            $(fn decode_all(blocks: &[Self], out: &mut [f32]) {
                $row(blocks, out);
            })?
            fn is_valid(&self) -> bool {
                $finite(self.0)
            }
        }

        impl BlockEncoder for $name {
            const IGNORES_IMPORTANCE: bool = true;

            fn encode<L: Lanes>(weights: &[f32], blocks: &mut [Self]) {
                for (block, &x) in blocks.iter_mut().zip(weights) {
                    block.0 = $encode(x);
                }
            }
        }
    };
}

float! {
    /// IEEE single precision, little-endian.
    F32 0 4, f32::from_le_bytes, f32::to_le_bytes, finite |b| f32::from_le_bytes(b).is_finite()
}
float! {
    /// IEEE half precision: 1 sign, 5 exponent, 10 mantissa bits; largest 65504.
    F16 1 2,
    |b| half::f16_to_f32(u16::from_le_bytes(b)),
    |x| half::f16_from_f32(x).to_le_bytes(),
    finite super::block::finite_f16,
    row |blocks: &[Self], out: &mut [f32]| half::f16_row_to_f32(zerocopy::transmute_ref!(blocks), out)
}
float! {
    /// bfloat16: the upper half of an f32; 1 sign, 8 exponent, 7 mantissa bits.
    BF16 30 2,
    |b| half::bf16_to_f32(u16::from_le_bytes(b)),
    |x| half::bf16_from_f32(x).to_le_bytes(),
    finite |b| u16::from_le_bytes(b) & 0x7f80 != 0x7f80,
    row |blocks: &[Self], out: &mut [f32]| half::bf16_row_to_f32(zerocopy::transmute_ref!(blocks), out)
}
