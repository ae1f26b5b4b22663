//! Golden files: JSON whose arrays of little-endian `float32` are base64.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::Value;

/// A golden file below `tests/golden`.
pub fn load(name: &str) -> Value {
    let path = format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap()
}

/// The items of an array.
pub fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

/// A number, as the file's double.
pub fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

/// Base64 of little-endian `float32`.
pub fn floats(value: &Value) -> Vec<f32> {
    let bytes = BASE64_STANDARD.decode(value.as_str().unwrap()).unwrap();
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}
