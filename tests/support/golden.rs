//! Golden files: JSON in which arrays of little-endian `float32` are base64.
#![allow(dead_code)] // every test binary uses its own part

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::Value;

/// Reads a golden file in `tests/golden`.
pub fn load(name: &str) -> Value {
    let path = format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap()
}

/// The items of an array.
pub fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

/// A number, as f64.
pub fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

/// Decodes base64 of little-endian `float32`.
pub fn floats(value: &Value) -> Vec<f32> {
    let bytes = BASE64_STANDARD.decode(value.as_str().unwrap()).unwrap();
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

/// Decodes base64 to bytes.
pub fn bytes(value: &Value) -> Vec<u8> {
    BASE64_STANDARD.decode(value.as_str().unwrap()).unwrap()
}

/// Encodes bytes as base64.
pub fn of_bytes(bytes: &[u8]) -> Value {
    BASE64_STANDARD.encode(bytes).into()
}

/// Encodes floats as base64 of little-endian `float32`.
pub fn of_floats(floats: &[f32]) -> Value {
    of_bytes(&floats.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>())
}
