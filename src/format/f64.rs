//! F64: IEEE double precision, little-endian; one weight is 8 bytes.
//!
//! Read so that a model stored in it can be quantized: each weight is rounded to the nearest F32, and one beyond its range
//! becomes infinite. Not written: nothing here computes more than F32 holds.

use super::block::BlockFormat;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// One weight of F64.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct F64([u8; 8]);

impl F64 {
    fn to_f32(self) -> f32 {
        f64::from_le_bytes(self.0) as f32
    }
}

impl BlockFormat for F64 {
    const ID: u32 = 28;
    const NAME: &'static str = "F64";
    const WEIGHTS: usize = 1;

    fn decode(&self, out: &mut [f32]) {
        out[0] = self.to_f32();
    }

    /// As in ggml, whose check takes an `float`: a double beyond the range of F32 is infinite to it.
    fn is_valid(&self) -> bool {
        self.to_f32().is_finite()
    }
}
