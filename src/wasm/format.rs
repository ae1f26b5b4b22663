//! JavaScript bindings of `format/`.

use super::tiles::{Array as _, Input, Output, map_blocks, tiles_of};
use crate::allocation;
use crate::error::Error;
use crate::format::{self, Codec};
use crate::validation;
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

/// All formats: `[{ name, id, weights, bytes, bitsPerWeight, canEncode, needsImportance }]`.
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
    let codec = Codec::by_name(format)?;
    let importance = importance.as_deref();
    let mut bytes = allocation::zeros(out.length() as usize)?;
    if encode_tiles(codec, weights, row_length, importance, &mut bytes).is_err() {
        // Encode again as a whole for the right error: its index counts from the first weight, and a NaN takes
        // precedence over weights that cannot be represented.
        let mut whole = allocation::zeros(weights.len())?;
        weights.copy_to(&mut whole);
        codec.encode_rows(&whole, row_length, importance, &mut bytes)?;
    }
    out.copy_from(&bytes);
    Ok(())
}

/// [`Codec::encode_rows`] in tiles that stay in the CPU cache.
fn encode_tiles(
    codec: &Codec,
    weights: &Float32Array,
    row_length: usize,
    importance: Option<&[f32]>,
    mut out: &mut [u8],
) -> Result<(), Error> {
    validation::length("the output", out.len(), codec.encoded_len(weights.len(), row_length)?)?;
    let (blocks, mut input) = (weights.len() / codec.weights, Input::new(weights));
    // With importance a row is one unit; without it a block is.
    let row = importance.map(|_| row_length / codec.weights);
    for tile in tiles_of(blocks, codec.weights, row.unwrap_or(1)) {
        let part = out.split_off_mut(..tile.len() * codec.bytes).unwrap_or_default();
        let weights = input.read(tile.start * codec.weights..tile.end * codec.weights);
        codec.encode_rows(weights, if row.is_some() { row_length } else { weights.len() }, importance, part)?;
    }
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
    let codec = Codec::by_name(format)?;
    let out = Output::new("the output", out, codec.decoded_len(bytes.length() as usize)?)?;
    map_blocks(bytes, out, [codec.bytes, codec.weights], |bytes, weights| codec.decode(bytes, weights))
}

/// See [`format::validate`].
#[wasm_bindgen]
pub fn validate(bytes: &[u8], format: &str) -> Result<(), Error> {
    format::validate(bytes, format)
}
