//! I8, I16, I32, I64: two's complement, little-endian. For tensors that are not weights, such as index tables.
//!
//! A model's integer tensors are copied, never quantized, so these formats are read-only: choosing one as a target is
//! an error. Decoding, for inspection, rounds to the nearest F32, which is exact up to 2^24.

use super::block::BlockFormat;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

macro_rules! integer {
    ($name:ident $id:literal $type:ident $bytes:literal) => {
        #[doc = concat!("One number of ", stringify!($name), ".")]
        #[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
        #[repr(C)]
        pub struct $name([u8; $bytes]);

        impl BlockFormat for $name {
            const ID: u32 = $id;
            const NAME: &'static str = stringify!($name);
            const WEIGHTS: usize = 1;

            fn decode(&self, out: &mut [f32]) {
                out[0] = $type::from_le_bytes(self.0) as f32;
            }

            fn is_valid(&self) -> bool {
                true
            }
        }
    };
}

integer! { I8 24 i8 1 }
integer! { I16 25 i16 2 }
integer! { I32 26 i32 4 }
integer! { I64 27 i64 8 }
