//! JavaScript bindings of `format/`.

use super::arrays::{TypedArray as _, reading, writing};
use crate::allocation;
use crate::error::Error;
use crate::format::{self, Codec};
use js_sys::{Float32Array, Uint8Array};
use wasm_bindgen::prelude::*;

/// See [`format::bits_per_weight`].
#[wasm_bindgen(js_name = bitsPerWeight)]
pub fn bits_per_weight(bytes: f64, weights: f64) -> f64 {
    format::bits_per_weight(bytes as u64, weights as u64)
}

/// See [`format::quantize`].
#[wasm_bindgen]
pub fn quantize(
    weights: &[f32],
    format: &str,
    row_length: usize,
    importance: Option<Box<[f32]>>,
) -> Result<Vec<u8>, Error> {
    format::quantize(weights, format, row_length, importance.as_deref())
}

/// See [`format::quantize_into`]. `out` is the caller's memory and written only at the end, so it is unchanged after an
/// error.
#[wasm_bindgen(js_name = quantizeInto)]
pub fn quantize_into(
    weights: &Float32Array,
    format: &str,
    row_length: usize,
    importance: Option<Box<[f32]>>,
    out: &Uint8Array,
) -> Result<(), Error> {
    let mut bytes = allocation::zeros(out.len())?;
    Codec::by_name(format)?.encode_tiles(reading(weights), row_length, importance.as_deref(), &mut bytes)?;
    out.copy_from(&bytes);
    Ok(())
}

/// See [`format::dequantize`].
#[wasm_bindgen]
pub fn dequantize(bytes: &[u8], format: &str) -> Result<Vec<f32>, Error> {
    format::dequantize(bytes, format)
}

/// See [`format::dequantize_into`]. `out` is the caller's memory, and written once.
#[wasm_bindgen(js_name = dequantizeInto)]
pub fn dequantize_into(bytes: &Uint8Array, format: &str, out: &Float32Array) -> Result<(), Error> {
    Codec::by_name(format)?.decode_tiles(reading(bytes), writing(out, &[bytes.memory()]))
}

/// See [`format::validate`].
#[wasm_bindgen]
pub fn validate(bytes: &[u8], format: &str) -> Result<(), Error> {
    format::validate(bytes, format)
}
