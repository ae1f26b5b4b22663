//! Reads what JavaScript passes: options and other plain values, and objects with typed arrays.
//!
//! JavaScript has checked all of it key by key, so an error here is that of a caller without types. Every message has one
//! form: the name of the argument, and what it must be.

use crate::allocation;
use crate::error::{Code, Error, Result};
use js_sys::{Array, Float32Array, Int32Array, Object, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};

/// The largest integer up to which doubles are exact.
pub const MAX_SAFE: f64 = 9_007_199_254_740_991.0;

/// Reads options or any other plain value. A property that is `undefined` counts as absent.
///
/// # Errors
/// [`Code::ARGUMENT`] if it does not match its type.
pub fn read<T: serde::de::DeserializeOwned>(name: &str, value: JsValue) -> Result<T> {
    serde_wasm_bindgen::from_value(given(value)).map_err(|_| wrong(name, "of its declared type"))
}

/// A copy of an object without properties that are `undefined`.
fn given(value: JsValue) -> JsValue {
    let Some(object) = Object::try_from(&value).filter(|_| !Array::is_array(&value)) else { return value };
    let is_given = |entry: &JsValue| Reflect::get_u32(entry, 1).is_ok_and(|value| !value.is_undefined());
    let given: Array = Object::entries(object).iter().filter(is_given).collect();
    Object::from_entries(&given).map_or(value, JsValue::from)
}

/// Reads a count that was passed as a number.
///
/// # Errors
/// [`Code::RANGE`] unless it is a whole number from 0 to 2^53 - 1.
pub fn count(name: &'static str, value: f64) -> Result<u64> {
    if (0.0..=MAX_SAFE).contains(&value) && value.fract() == 0.0 {
        return Ok(value as u64);
    }
    Err(Error::new(Code::RANGE, format!("{name} is {value}, and must be a whole number")).with(name, value))
}

/// Reads a shape: an array of whole numbers.
pub fn shape(value: &JsValue) -> Result<Vec<usize>> {
    sizes("shape", value)
}

fn sizes(name: &str, value: &JsValue) -> Result<Vec<usize>> {
    let sizes = value.dyn_ref::<Array>().and_then(|array| array.iter().map(|n| size(&n)).collect());
    sizes.ok_or_else(|| wrong(name, "an array of whole numbers"))
}

fn size(value: &JsValue) -> Option<usize> {
    let number = value.as_f64()?;
    let whole = (0.0..=f64::from(u32::MAX)).contains(&number) && number.fract() == 0.0;
    whole.then_some(number as usize)
}

/// Reads the fields of an object; one that is missing or of another type is [`Code::ARGUMENT`].
#[derive(Clone, Copy)]
pub struct Fields<'a>(pub &'a JsValue);

impl Fields<'_> {
    /// A field, or `undefined` if it is missing.
    pub fn get(self, name: &str) -> JsValue {
        // Fails for a property of `undefined` or `null`; the caller then gets `undefined` and reports what it needs.
        Reflect::get(self.0, &name.into()).unwrap_or(JsValue::UNDEFINED)
    }

    /// A plain value. See [`read()`].
    pub fn read<T: serde::de::DeserializeOwned>(self, name: &str) -> Result<T> {
        read(name, self.get(name))
    }

    /// A typed array, without copying.
    pub fn typed<T: JsCast>(self, name: &str, kind: &str) -> Result<T> {
        self.get(name).dyn_into().map_err(|_| wrong(name, kind))
    }

    /// A `Uint8Array`.
    pub fn bytes(self, name: &str) -> Result<Vec<u8>> {
        let array = self.typed::<Uint8Array>(name, "a Uint8Array")?;
        copied(array.length(), |values| array.copy_to(values))
    }

    /// A `Float32Array`.
    pub fn floats(self, name: &str) -> Result<Vec<f32>> {
        let array = self.typed::<Float32Array>(name, "a Float32Array")?;
        copied(array.length(), |values| array.copy_to(values))
    }

    /// An `Int32Array`.
    pub fn integers(self, name: &str) -> Result<Vec<i32>> {
        let array = self.typed::<Int32Array>(name, "an Int32Array")?;
        copied(array.length(), |values| array.copy_to(values))
    }

    /// A number.
    pub fn number(self, name: &str) -> Result<f64> {
        self.get(name).as_f64().ok_or_else(|| wrong(name, "a number"))
    }

    /// A non-negative integer that fits `usize`.
    pub fn size(self, name: &str) -> Result<usize> {
        size(&self.get(name)).ok_or_else(|| wrong(name, "a whole number from 0 to 4294967295"))
    }

    /// A string.
    pub fn text(self, name: &str) -> Result<String> {
        self.get(name).as_string().ok_or_else(|| wrong(name, "a string"))
    }

    /// An array of non-negative integers.
    pub fn sizes(self, name: &str) -> Result<Vec<usize>> {
        sizes(name, &self.get(name))
    }
}

fn copied<T: Clone + Default>(length: u32, copy: impl FnOnce(&mut [T])) -> Result<Vec<T>> {
    let mut values = allocation::zeros(length as usize)?;
    copy(&mut values);
    Ok(values)
}

/// Appends the bytes of an array.
pub fn append(bytes: &mut Vec<u8>, array: &Uint8Array) {
    let start = bytes.len();
    bytes.resize(start.saturating_add(array.length() as usize), 0);
    array.copy_to(bytes.get_mut(start..).unwrap_or_default());
}

/// The error of an argument that must be `wanted`.
pub fn wrong(name: &str, wanted: &str) -> Error {
    Error::new(Code::ARGUMENT, format!("{name} must be {wanted}")).with("argument", name)
}
