//! `format/` for JavaScript.

use crate::error::Error;
use crate::format::{self, Codec};
use js_sys::{Float32Array, Uint8Array};
use serde::Serialize;
use wasm_bindgen::prelude::*;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FormatInfo {
    name: &'static str,
    id: u32,
    weights: usize,
    bytes: usize,
    bits_per_weight: f64,
    can_encode: bool,
    needs_importance: bool,
}

impl From<&Codec> for FormatInfo {
    fn from(codec: &Codec) -> Self {
        FormatInfo {
            name: codec.name,
            id: codec.id,
            weights: codec.weights,
            bytes: codec.bytes,
            bits_per_weight: codec.bits_per_weight(),
            can_encode: codec.can_encode(),
            needs_importance: codec.needs_importance,
        }
    }
}

/// Every format: `[{ name, id, weights, bytes, bitsPerWeight, canEncode, needsImportance }]`.
#[wasm_bindgen]
pub fn formats() -> Result<JsValue, JsValue> {
    let table: Vec<FormatInfo> = format::formats().iter().map(Into::into).collect();
    Ok(serde_wasm_bindgen::to_value(&table)?)
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

/// See [`format::quantize_into`]. `out` is the caller's memory: the bytes are copied once, from the engine's to it.
#[wasm_bindgen(js_name = quantizeInto)]
pub fn quantize_into(
    weights: &[f32],
    format: &str,
    row_length: usize,
    importance: Option<Box<[f32]>>,
    out: &Uint8Array,
) -> Result<(), Error> {
    let mut bytes = vec![0; out.length() as usize];
    format::quantize_into(weights, format, row_length, importance.as_deref(), &mut bytes)?;
    out.copy_from(&bytes);
    Ok(())
}

/// See [`format::dequantize`].
#[wasm_bindgen]
pub fn dequantize(bytes: &[u8], format: &str) -> Result<Vec<f32>, Error> {
    format::dequantize(bytes, format)
}

/// See [`format::dequantize_into`]. `out` is the caller's memory, written once.
#[wasm_bindgen(js_name = dequantizeInto)]
pub fn dequantize_into(bytes: &[u8], format: &str, out: &Float32Array) -> Result<(), Error> {
    let mut weights = vec![0.0; out.length() as usize];
    format::dequantize_into(bytes, format, &mut weights)?;
    out.copy_from(&weights);
    Ok(())
}

/// See [`format::validate`].
#[wasm_bindgen]
pub fn validate(bytes: &[u8], format: &str) -> Result<(), Error> {
    format::validate(bytes, format)
}
