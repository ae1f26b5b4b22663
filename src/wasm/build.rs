//! Builds what JavaScript receives: objects with typed arrays, reports, and long lists as columns.

use super::read::MAX_SAFE;
use crate::error::{Code, Error, Result};
#[cfg(any(feature = "bindings", feature = "bindings-model"))]
use crate::job::ErrorFigures;
use js_sys::{Array, Float32Array, Float64Array, Int32Array, Reflect, Uint8Array};
use std::collections::HashMap;
use wasm_bindgen::{JsCast as _, JsValue};

/// Converts a report to a plain object.
///
/// # Errors
/// [`Code::UNSUPPORTED`] for a number that JavaScript cannot represent, such as a count above
/// 2^53.
pub fn report<T: serde::Serialize>(value: &T) -> Result<JsValue> {
    serde_wasm_bindgen::to_value(value).map_err(|error| Error::new(Code::UNSUPPORTED, error.to_string()))
}

/// A plain object under construction.
#[derive(Debug)]
pub struct Object(js_sys::Object);

impl Object {
    /// An object without fields.
    pub fn new() -> Self {
        Object(js_sys::Object::new())
    }

    /// A [`report`], to be extended.
    ///
    /// # Errors
    /// As for [`report`].
    pub fn of<T: serde::Serialize>(value: &T) -> Result<Self> {
        report(value).map(|object| Object(object.unchecked_into()))
    }

    /// Adds a field.
    pub fn value(self, name: &str, value: impl Into<JsValue>) -> Self {
        // Setting a property of a new object does not fail.
        let _ = Reflect::set(&self.0, &name.into(), &value.into());
        self
    }

    /// Adds a field of a [`report`].
    ///
    /// # Errors
    /// As for [`report`].
    pub fn report<T: serde::Serialize>(self, name: &str, value: &T) -> Result<Self> {
        Ok(self.value(name, report(value)?))
    }

    /// Adds a number below 2^53.
    pub fn number(self, name: &str, value: u64) -> Self {
        self.value(name, value as f64)
    }

    /// Adds a `Uint8Array`.
    pub fn bytes(self, name: &str, values: &[u8]) -> Self {
        self.value(name, Uint8Array::from(values))
    }

    /// Adds a `Float32Array`.
    pub fn floats(self, name: &str, values: &[f32]) -> Self {
        self.value(name, Float32Array::from(values))
    }

    /// Adds an `Int32Array`.
    pub fn integers(self, name: &str, values: &[i32]) -> Self {
        self.value(name, Int32Array::from(values))
    }

    /// Adds an array of numbers.
    pub fn sizes(self, name: &str, values: &[usize]) -> Self {
        self.value(name, values.iter().map(|&n| JsValue::from(n)).collect::<Array>())
    }

    /// Returns the object.
    pub fn done(self) -> JsValue {
        self.0.into()
    }
}

/// An integer of any size: a number if that is exact, otherwise a bigint.
pub fn integer<T: Copy + Into<i128>>(value: T) -> JsValue {
    let wide: i128 = value.into();
    if wide.unsigned_abs() <= MAX_SAFE as u128 {
        return JsValue::from(wide as f64);
    }
    match u64::try_from(wide) {
        Ok(large) => js_sys::BigInt::from(large).into(),
        Err(_) => js_sys::BigInt::from(wide as i64).into(),
    }
}

/// Lists of many objects as two arrays, of strings and of numbers, from which JavaScript builds the objects. Passing
/// them field by field takes ten times as long, with a separate copy of each name.
#[derive(Default)]
pub struct Columns {
    texts: Array,
    numbers: Vec<f64>,
    /// JavaScript strings that several objects share.
    shared: HashMap<String, JsValue>,
}

impl Columns {
    /// Adds a string of this object only.
    pub fn text(&mut self, text: &str) {
        self.texts.push(&text.into());
    }

    /// Adds a string that other objects also have.
    pub fn shared(&mut self, text: &str) {
        if let Some(known) = self.shared.get(text) {
            self.texts.push(known);
            return;
        }
        let value = JsValue::from(text);
        self.texts.push(&value);
        self.shared.insert(text.to_owned(), value);
    }

    /// Adds numbers below 2^53.
    pub fn numbers<const N: usize>(&mut self, numbers: [u64; N]) {
        self.numbers.extend(numbers.map(|number| number as f64));
    }

    /// Adds numbers of any size.
    pub fn floats(&mut self, numbers: &[f64]) {
        self.numbers.extend(numbers);
    }

    /// Adds a list of numbers, preceded by its length.
    pub fn list(&mut self, numbers: &[u64]) {
        self.numbers.push(numbers.len() as f64);
        self.numbers.extend(numbers.iter().map(|&number| number as f64));
    }

    /// Returns `[texts, numbers]`.
    pub fn done(self) -> Array {
        Array::of2(&self.texts, &Float64Array::from(self.numbers.as_slice()))
    }
}

/// The error figures in order; the last number is whether the one before it was measured.
#[cfg(any(feature = "bindings", feature = "bindings-model"))]
pub fn figures_of(figures: &ErrorFigures) -> [f64; 7] {
    let ErrorFigures { rmse, relative_rmse, sqnr_db, cosine_similarity, max_error, weighted_error } = *figures;
    let measured = f64::from(u8::from(weighted_error.is_some()));
    [rmse, relative_rmse, sqnr_db, cosine_similarity, max_error, weighted_error.unwrap_or_default(), measured]
}
