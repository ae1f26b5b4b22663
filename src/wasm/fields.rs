//! Plain objects with typed arrays; each field is copied once, in or out.

use super::object::Object;
use crate::allocation;
use crate::error::{Code, Error, Result};
use js_sys::{Array, Float32Array, Int32Array, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};

/// Creates an object with these fields.
pub fn object(fields: &[(&str, JsValue)]) -> JsValue {
    fields.iter().fold(Object::new(), |object, (name, value)| object.value(name, value)).done()
}

/// Creates a `Uint8Array`.
pub fn bytes(values: &[u8]) -> JsValue {
    Uint8Array::from(values).into()
}

/// Creates a `Float32Array`.
pub fn floats(values: &[f32]) -> JsValue {
    Float32Array::from(values).into()
}

/// Creates an `Int32Array`.
pub fn integers(values: &[i32]) -> JsValue {
    Int32Array::from(values).into()
}

/// Creates an array of numbers.
pub fn counts(values: &[usize]) -> JsValue {
    values.iter().map(|&n| JsValue::from(n)).collect::<Array>().into()
}

/// Reads the fields of an object; a field that is missing or has the wrong type is [`Code::ARGUMENT`].
#[derive(Clone, Copy)]
pub struct Fields<'a>(pub &'a JsValue);

impl Fields<'_> {
    /// A field, or `undefined` if it is missing.
    pub fn get(self, name: &str) -> JsValue {
        // Fails for a property of `undefined` or `null`; the caller then gets `undefined` and reports what it needs.
        Reflect::get(self.0, &name.into()).unwrap_or(JsValue::UNDEFINED)
    }

    /// A typed array, without copying.
    pub fn typed<T: JsCast>(self, name: &str, kind: &str) -> Result<T> {
        self.get(name).dyn_into().map_err(|_| wrong(name, kind))
    }

    /// A `Uint8Array`.
    pub fn bytes(self, name: &str) -> Result<Vec<u8>> {
        let array = self.typed::<Uint8Array>(name, "a Uint8Array")?;
        let mut values = allocation::zeros(array.length() as usize)?;
        array.copy_to(&mut values);
        Ok(values)
    }

    /// A `Float32Array`.
    pub fn floats(self, name: &str) -> Result<Vec<f32>> {
        let array = self.typed::<Float32Array>(name, "a Float32Array")?;
        let mut values = allocation::zeros(array.length() as usize)?;
        array.copy_to(&mut values);
        Ok(values)
    }

    /// An `Int32Array`.
    pub fn integers(self, name: &str) -> Result<Vec<i32>> {
        let array = self.typed::<Int32Array>(name, "an Int32Array")?;
        let mut values = allocation::zeros(array.length() as usize)?;
        array.copy_to(&mut values);
        Ok(values)
    }

    /// A number.
    pub fn number(self, name: &str) -> Result<f64> {
        self.get(name).as_f64().ok_or_else(|| wrong(name, "a number"))
    }

    /// A non-negative integer that fits `usize`.
    pub fn count(self, name: &str) -> Result<usize> {
        count(&self.get(name)).ok_or_else(|| wrong(name, "a whole number from 0 to 4294967295"))
    }

    /// A string.
    pub fn text(self, name: &str) -> Result<String> {
        self.get(name).as_string().ok_or_else(|| wrong(name, "a string"))
    }

    /// An array of non-negative integers.
    pub fn counts(self, name: &str) -> Result<Vec<usize>> {
        let array: Array = self.typed(name, "an array of whole numbers")?;
        array.iter().map(|n| count(&n)).collect::<Option<_>>().ok_or_else(|| wrong(name, "an array of whole numbers"))
    }
}

fn count(value: &JsValue) -> Option<usize> {
    let number = value.as_f64()?;
    let whole = (0.0..=f64::from(u32::MAX)).contains(&number) && number.fract() == 0.0;
    whole.then_some(number as usize)
}

fn wrong(name: &str, kind: &str) -> Error {
    Error::new(Code::ARGUMENT, format!("{name} must be {kind}")).with("argument", name)
}

/// Reads a plain value with serde; [`Code::ARGUMENT`] if it does not match.
pub fn from_js<T: serde::de::DeserializeOwned>(name: &str, value: JsValue) -> Result<T> {
    serde_wasm_bindgen::from_value(value).map_err(|_| unfit(name))
}

/// JavaScript checks arguments field by field before the call; this error is for what passes those checks. It does not
/// name any Rust type.
pub fn unfit(name: &str) -> Error {
    Error::new(Code::ARGUMENT, format!("{name} does not match its declared type")).with("argument", name)
}

/// Copies to a caller's `Uint8Array` of the same length.
pub fn fill_bytes(what: &str, out: &Uint8Array, values: &[u8]) -> Result<()> {
    crate::validation::length(what, out.length() as usize, values.len())?;
    out.copy_from(values);
    Ok(())
}

/// Copies to a caller's `Float32Array` of the same length.
pub fn fill_floats(what: &str, out: &Float32Array, values: &[f32]) -> Result<()> {
    crate::validation::length(what, out.length() as usize, values.len())?;
    out.copy_from(values);
    Ok(())
}
