//! F64: IEEE double precision, little-endian; one weight is 8 bytes.
//!
//! Supported for reading, so that models stored in F64 can be quantized: each weight is rounded to the nearest F32, and
//! values beyond its range become infinite. Not written, because no computation here has more precision than F32.

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

    /// As in ggml, whose check takes a `float`: a double beyond the range of F32 counts as infinite.
    fn is_valid(&self) -> bool {
        self.to_f32().is_finite()
    }
}
