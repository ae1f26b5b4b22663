//! SIMD lanes: four problems at once, with the same bytes as one at a time.
//!
//! An algorithm is written once, generic over [`Lanes`]; [`Best`] is the widest implementation for the target. The
//! remainder of an input that does not fill all lanes runs the same code with N = 1 (`f32` itself).

mod array;
mod lane;
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
mod pair;
mod scalar;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod simd128;

pub use array::Array;
pub use lane::{Lanes, Mask};
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub use simd128::{Simd128, look_up};

/// The type for sums in double precision on this target.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub type Doubles = simd128::SimdDoubles;
/// The type for sums in double precision on this target.
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
pub type Doubles = pair::Doubles;
/// The lanes that encoders use on this target.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub type Best = Simd128;
/// The lanes that encoders use on this target.
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
pub type Best = Array<4>;

/// Looks up sixteen indices, each in `0..16`, in a table of sixteen bytes.
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
#[inline(always)]
pub fn look_up(table: &[i8; 16], places: &[u8; 16]) -> [i8; 16] {
    places.map(|place| table[usize::from(place & 15)])
}
