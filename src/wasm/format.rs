//! `format/` for JavaScript.

use crate::error::Error;
use crate::format::{self, Codec};
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

/// See [`format::dequantize`].
#[wasm_bindgen]
pub fn dequantize(bytes: &[u8], format: &str) -> Result<Vec<f32>, Error> {
    format::dequantize(bytes, format)
}
