//! Plain values across the boundary, through serde.

use crate::error::{Code, Error, Result};
use serde::{Serialize, de::DeserializeOwned};
use wasm_bindgen::JsValue;

/// An argument as its type.
///
/// # Errors
/// [`Code::ARGUMENT`] with the name of the argument, for what does not fit.
pub(super) fn read<T: DeserializeOwned>(name: &'static str, value: JsValue) -> Result<T> {
    super::fields::from_js(name, value)
}

/// A report as a plain object.
///
/// # Errors
/// [`Code::UNSUPPORTED`] for a number that JavaScript does not hold, such as a count beyond 2^53.
pub(super) fn write<T: Serialize>(value: &T) -> Result<JsValue> {
    serde_wasm_bindgen::to_value(value).map_err(|error| Error::new(Code::UNSUPPORTED, error.to_string()))
}
