//! Plain values across the boundary, with serde.

use crate::error::{Code, Error, Result};
use serde::{Serialize, de::DeserializeOwned};
use wasm_bindgen::JsValue;

/// Reads an argument.
///
/// # Errors
/// [`Code::ARGUMENT`] with the name of the argument, if it does not match its type.
pub(super) fn read<T: DeserializeOwned>(name: &'static str, value: JsValue) -> Result<T> {
    super::fields::from_js(name, value)
}

/// Converts a report to a plain object.
///
/// # Errors
/// [`Code::UNSUPPORTED`] for a number that JavaScript cannot represent, such as a count above 2^53.
pub(super) fn write<T: Serialize>(value: &T) -> Result<JsValue> {
    serde_wasm_bindgen::to_value(value).map_err(|error| Error::new(Code::UNSUPPORTED, error.to_string()))
}
