//! Four problems at once, with the bytes of one at a time.
//!
//! An algorithm is written once, generic over [`Lanes`]; [`Best`] is the widest implementation this target has. The tail
//! of an input that does not fill the lanes is the same code at N = 1 (`f32` itself).

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

/// What sums are kept in on this target.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub type Doubles = simd128::SimdDoubles;
/// What sums are kept in on this target.
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
pub type Doubles = pair::Doubles;
/// The lanes encoders use on this target.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub type Best = Simd128;
/// The lanes encoders use on this target.
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
pub type Best = Array<4>;

/// The bytes of a table at sixteen places in `0..16`.
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
#[inline(always)]
pub fn look_up(table: &[i8; 16], places: &[u8; 16]) -> [i8; 16] {
    places.map(|place| table[usize::from(place & 15)])
}
