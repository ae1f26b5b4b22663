//! In wasm, in Node or a browser: encoding with vectors gives the same bytes as encoding one float at a time.
#![cfg(target_arch = "wasm32")]
#![allow(clippy::unwrap_used, clippy::panic)] // a test fails by panicking

/// Alone, so that this test needs no feature of the crate.
mod support {
    pub mod lanes;
    pub mod weights;
}

use quantpress::lanes::{Array, Simd128};
use support::lanes::{assert_same, encodings};
use wasm_bindgen_test::wasm_bindgen_test;

#[wasm_bindgen_test]
fn simd128_writes_the_same_bytes() {
    let one = encodings::<f32>();
    assert_same("simd128", &encodings::<Simd128>(), &one);
    assert_same("array", &encodings::<Array<4>>(), &one);
}
